/* Kinds of network services (items 1016–1023); see kind.h. */
#include "catalog/kind_table.h"

static const char *const only_instance[] = {"instance", NULL};

#define OPTIONAL_ZONE                                           \
    {                                                           \
        .name = "zone", .want = MEMBER_NAME, .clause = "2.3.2", \
    }

static const struct kind_member address_members[] = {
    {.name = "zone", .want = MEMBER_NAME, .required = true, .clause = "2.3.2"},
    {.name = "family", .want = MEMBER_INT, .min = 4, .max = 6, .step = 2, .fallback = 4, .clause = "3.2.1.9"},
    {.name = "attach_to", .want = MEMBER_NAME, .clause = "3.2.1.9"},
};

/* Domain filing is inside the price. */
static const struct quantity_rule address_rules[] = {
    {.item = "1017", .clause = "3.1.3, 3.2.1.9: by the IP, IPv4 and IPv6 alike"},
};

const struct kind kind_address = {.name = "address",
                                  .name_zh = "互联网地址",
                                  KIND_MEMBERS(address_members),
                                  KIND_RULES(address_rules),
                                  .items = "1017",
                                  .owners = only_instance};

static const struct kind_member bandwidth_members[] = {
    {.name = "mbps",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 100000,
     .change = CHANGE_ANY,
     .clause = "3.1.3"},
    OPTIONAL_ZONE,
};

/* Internet bandwidth alone: the extranet's is not the provider's (2.3.2). */
static const struct quantity_rule bandwidth_rules[] = {
    {.item = "1016", .member = "mbps", .clause = "3.1.3, 2.3.2: by 1 Mb"},
};

const struct kind kind_bandwidth = {.name = "bandwidth",
                                    .name_zh = "互联网带宽",
                                    KIND_MEMBERS(bandwidth_members),
                                    KIND_RULES(bandwidth_rules),
                                    .items = "1016"};

static const struct kind_member load_balancer_members[] = {
    {.name = "backends",
     .want = MEMBER_ADDRESSES,
     .required = true,
     .min = 1,
     .max = 256,
     .change = CHANGE_ANY,
     .clause = "3.1.3"},
    {.name = "zone", .want = MEMBER_NAME, .required = true, .clause = "2.3.2"},
};

static const struct quantity_rule load_balancer_rules[] = {
    {.item = "1018", .member = "backends", .clause = "3.1.3: by the internal IP, each backend address"},
};

const struct kind kind_load_balancer = {.name = "load-balancer",
                                        .name_zh = "主机负载均衡",
                                        KIND_MEMBERS(load_balancer_members),
                                        KIND_RULES(load_balancer_rules),
                                        .items = "1018",
                                        .external = true};

static const struct kind_member remote_account_members[] = {
    {.name = "accounts",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 1000,
     .change = CHANGE_ANY,
     .clause = "3.1.3"},
    OPTIONAL_ZONE,
};

/* All accounts are counted here: the free one (3.1.3) belongs to what a system has altogether, which one
 * resource cannot tell, so rating takes it off. */
static const struct quantity_rule remote_account_rules[] = {
    {.item = "1019", .member = "accounts", .clause = "3.1.3: by the account, the free one included"},
};

const struct kind kind_remote_account = {.name = "remote-account",
                                         .name_zh = "远程接入账号",
                                         KIND_MEMBERS(remote_account_members),
                                         KIND_RULES(remote_account_rules),
                                         .items = "1019",
                                         .external = true};

static const struct kind_member ssl_vpn_members[] = {
    {.name = "concurrent_users",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 100000,
     .change = CHANGE_ANY,
     .clause = "3.1.3"},
    OPTIONAL_ZONE,
};

/* The bandwidth it needs is bought as 1016: a resource of its own. */
static const struct quantity_rule ssl_vpn_rules[] = {
    {.item = "1020",
     .member = "concurrent_users",
     .set = 10,
     .clause = "3.1.3: by the set of 10 concurrent users, a begun set is one"},
};

const struct kind kind_ssl_vpn = {.name = "ssl-vpn",
                                  .name_zh = "SSL VPN 接入",
                                  KIND_MEMBERS(ssl_vpn_members),
                                  KIND_RULES(ssl_vpn_rules),
                                  .items = "1020",
                                  .external = true};

static const struct kind_member ipsec_vpn_members[] = {
    {.name = "mbps",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 100000,
     .change = CHANGE_ANY,
     .clause = "3.1.3"},
    OPTIONAL_ZONE,
};

/* Adjusted on demand (3.1.3): by a resize, from that moment on. */
static const struct quantity_rule ipsec_vpn_rules[] = {
    {.item = "1021", .member = "mbps", .clause = "3.1.3: by 1 Mb of tunnel bandwidth"},
};

const struct kind kind_ipsec_vpn = {.name = "ipsec-vpn",
                                    .name_zh = "IPSec VPN 接入",
                                    KIND_MEMBERS(ipsec_vpn_members),
                                    KIND_RULES(ipsec_vpn_rules),
                                    .items = "1021",
                                    .external = true};

static const struct kind_member certificate_members[] = {
    {.name = "domains",
     .want = MEMBER_DOMAINS,
     .required = true,
     .min = 1,
     .max = 100,
     .change = CHANGE_ANY,
     .clause = "3.1.3"},
};

static const struct quantity_rule certificate_rules[] = {
    {.item = "1022", .member = "domains", .clause = "3.1.3: by the domain name"},
};

const struct kind kind_certificate = {.name = "certificate",
                                      .name_zh = "SSL 证书",
                                      KIND_MEMBERS(certificate_members),
                                      KIND_RULES(certificate_rules),
                                      .items = "1022",
                                      .external = true};

static const struct kind_member waf_members[] = {
    {.name = "mbps",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 100000,
     .change = CHANGE_ANY,
     .clause = "3.1.3"},
    OPTIONAL_ZONE,
};

static const struct quantity_rule waf_rules[] = {
    {.item = "1023",
     .member = "mbps",
     .set = 200,
     .clause = "3.1.3: by the set of 200 Mbps, a begun set is one"},
};

const struct kind kind_waf = {.name = "waf",
                              .name_zh = "Web 应用防火墙",
                              KIND_MEMBERS(waf_members),
                              KIND_RULES(waf_rules),
                              .items = "1023",
                              .external = true};
