/* The findings as data; see assess.h. */
#include <string.h>

#include "federation/assess.h"

static const struct assess_rule_text rules[ASSESS_RULE_COUNT] = {
    [RULE_PHYSICAL_HOST] =
        {"physical-host-by-people", ASSESS_BLOCKER, "A physical host is not moved by the broker",
         "物理主机不由平台自动迁移",
         "Order an instance on the target and have the provider convert the host with its P2V "
         "tool; assess the result as a cloud host.",
         "在目标云订购云主机，由服务商以 P2V 工具转换后按云主机评估。", "3.2.3.15, 4.1.3.1"},
    [RULE_DATABASE] =
        {"database-by-people", ASSESS_BLOCKER, "A database alone is not moved by the broker",
         "数据库不由平台单独迁移",
         "Move the host that it runs on, or have the provider move it with the vendor's own tool.",
         "迁移其所在云主机，或由服务商使用原厂工具迁移。", "3.2.3.15, 4.1.3.1"},
    [RULE_DATABASE_ENGINE] =
        {"database-engine-differs", ASSESS_BLOCKER,
         "The catalog's migration is to the same database engine alone", "目录迁移服务只限同构数据库",
         "Keep the engine, or agree on a heterogeneous migration outside of the catalog.",
         "保持同构数据库，或另行约定异构迁移服务。", "3.1.5"},
    [RULE_HOSTING_AREA] = {"hosting-area", ASSESS_BLOCKER,
                           "The catalog's migration does not go to the hosting area",
                           "目录迁移服务不含迁入托管区", "Choose a zone of a cloud.",
                           "选择云资源池内的区域。", "3.1.5"},
    [RULE_NOT_ACTIVE] = {"instance-not-active", ASSESS_BLOCKER, "The machine is not active here",
                         "云主机非运营状态", "Wait until it is, or end it.", "待其恢复运营状态后再评估。",
                         NULL},
    [RULE_BUSY] = {"instance-busy", ASSESS_WARNING, "An operation holds the machine",
                   "云主机正在执行其他操作", "Let the operation end before the move begins.",
                   "待该操作结束后开始迁移。", NULL},
    [RULE_SAME_ENDPOINT] = {"same-endpoint", ASSESS_BLOCKER, "It is there already", "源与目标为同一接入点",
                            "Choose a zone with another endpoint.", "选择其他接入点的区域。", NULL},
    [RULE_SOURCE_SILENT] = {"source-unreachable", ASSESS_BLOCKER, "The source did not answer",
                            "源端平台未应答", "Repair the endpoint and assess again.",
                            "恢复接入点后重新评估。", NULL},
    [RULE_SOURCE_MUTE] = {"source-cannot-describe", ASSESS_BLOCKER,
                          "The source's driver cannot tell what a move has to know",
                          "源端驱动无法给出迁移所需信息",
                          "Export the machine at the provider and import it as files.",
                          "由服务商导出镜像文件后离线导入。", "4.1.3.3"},
    [RULE_TARGET_SILENT] = {"target-unreachable", ASSESS_BLOCKER, "The target did not answer",
                            "目标平台未应答", "Repair the endpoint and assess again.",
                            "恢复接入点后重新评估。", NULL},
    [RULE_DISK_UNREADABLE] =
        {"disk-unreadable", ASSESS_BLOCKER, "A disk cannot be read", "磁盘无法读取",
         "Turn it into an ordinary disk of the machine, or detach it and bring its data by other "
         "means.",
         "改为云主机普通磁盘，或卸载后另行搬迁数据。", NULL},
    [RULE_DISK_UNTRACKED] =
        {"disk-untracked", ASSESS_WARNING, "Changes of a disk cannot be tracked", "磁盘无法跟踪变更块",
         "Enable change tracking; else every pass reads and compares the whole disk, the last one "
         "while the machine is stopped.",
         "启用变更块跟踪；否则每轮须全盘读取比对，停机时间随之增加。", NULL},
    [RULE_FENCED] = {"source-fenced", ASSESS_BLOCKER, "The machine is fenced: another move has it",
                     "云主机已被隔离", "End the other move first.", "先结束另一迁移任务。", NULL},
    [RULE_SNAPSHOTS] =
        {"snapshots-in-the-way", ASSESS_WARNING, "Snapshots are in the way", "存在快照",
         "Delete them and let the provider consolidate before the copy begins: they do not move.",
         "迁移前删除快照并完成合并，快照不随迁。", NULL},
    [RULE_PASSTHROUGH] = {"passthrough-device", ASSESS_BLOCKER, "The guest holds a device of its host",
                          "存在直通设备", "Detach the device; order its like on the target.",
                          "卸除直通设备，在目标云另行订购。", NULL},
    [RULE_ARCHITECTURE_UNKNOWN] = {"architecture-unknown", ASSESS_WARNING, "An architecture is not known",
                                   "架构未知", "Take an inventory of both sides.", "对两端执行资源同步。",
                                   NULL},
    [RULE_ARCHITECTURE_REBUILD] = {"architecture-rebuild", ASSESS_BLOCKER,
                                   "POWER and other architectures: a rebuild, not a move",
                                   "POWER 与其他架构之间须重建",
                                   "Install the system anew on the target and move its data.",
                                   "在目标云重新部署并迁移数据。", "3.2.3.15"},
    [RULE_ARCHITECTURE_DIFFERS] = {"architecture-differs", ASSESS_BLOCKER,
                                   "No host of this architecture there", "目标无同架构主机",
                                   "Choose a zone with hosts of the machine's architecture.",
                                   "选择具有同架构主机的区域。", "3.2.3.15"},
    [RULE_ARCHITECTURE_VENDOR] =
        {"architecture-vendor", ASSESS_WARNING, "Between x86 and C86", "x86 与 C86 互迁",
         "Test it: the instruction set is shared, CPU features and microcode are not. Not "
         "while it runs.",
         "先行测试：指令集相同，CPU 特性与微码不同；不可在线迁移。", "3.2.3.15"},
    [RULE_FIRMWARE_UNKNOWN] = {"firmware-unknown", ASSESS_WARNING, "The firmware is not known",
                               "固件类型未知",
                               "Find out whether it boots by BIOS or UEFI: the target must do the same.",
                               "确认 BIOS 或 UEFI 启动方式，目标须一致。", NULL},
    [RULE_FIRMWARE_UEFI] = {"firmware-uefi", ASSESS_INFO, "UEFI: boot entries are not moved",
                            "UEFI 启动项不随迁",
                            "The target boots the fallback path; check that the guest has one.",
                            "目标按默认路径启动，请确认客户机已有默认启动文件。", NULL},
    [RULE_SECURE_BOOT] =
        {"secure-boot", ASSESS_WARNING, "Secure boot: keys and variables are not moved",
         "安全启动密钥与变量不随迁",
         "Turn secure boot off before a warm or cold move and enrol the keys again afterwards.",
         "温迁移或冷迁移前关闭安全启动，迁移后重新登记密钥。", NULL},
    [RULE_DISK_NONE] = {"disk-none", ASSESS_BLOCKER, "There is no disk to move", "没有可迁移的磁盘",
                        "Check the machine at its provider.", "在源端核实云主机磁盘。", NULL},
    [RULE_DISKS_MANY] = {"disks-too-many", ASSESS_BLOCKER, "More disks than a machine can be made with",
                         "磁盘数量超限", "Join or detach disks.", "合并或卸载部分磁盘。", NULL},
    [RULE_BOOT_NONE] = {"boot-disk-none", ASSESS_BLOCKER, "No disk that it starts from", "没有启动盘",
                        "Put the boot loader on a disk of the machine.", "将引导程序置于云主机磁盘。", NULL},
    [RULE_BOOT_SEVERAL] = {"boot-disk-several", ASSESS_WARNING, "Several boot disks: the first one is taken",
                           "存在多个启动盘，取首个", "Make sure that the first one boots.",
                           "确认首个启动盘可启动。", NULL},
    [RULE_DISK_SIZE] = {"disk-size-odd", ASSESS_WARNING, "A disk's size is no multiple of 512 bytes",
                        "磁盘容量非 512 字节整数倍", "It is rounded up on the target.",
                        "目标按 512 字节向上取整。", NULL},
    [RULE_DISK_LARGE] = {"disk-too-large", ASSESS_BLOCKER, "A disk is larger than one can be made",
                         "磁盘过大", "Split the file system over several disks.", "拆分为多块磁盘。", NULL},
    [RULE_DISK_FORMAT] = {"disk-format", ASSESS_INFO, "The disk's format is converted", "磁盘格式将转换",
                          "Nothing to do.", "无需处理。", NULL},
    [RULE_DISK_CLASS] = {"disk-class-missing", ASSESS_BLOCKER, "No storage of the disk's class there",
                         "目标无同类存储",
                         "Choose a zone that has it, or agree on the other class and its price.",
                         "选择具备该类存储的区域，或约定改用另一类存储。", "3.2.1.4"},
    [RULE_DISK_ROOM] = {"disk-no-room", ASSESS_BLOCKER, "No storage pool has room for it", "目标存储空间不足",
                        "Have the provider extend its storage.", "由服务商扩容存储。", "4.1.2.2"},
    [RULE_ROOM] = {"target-no-room", ASSESS_BLOCKER, "The target has not enough left", "目标资源不足",
                   "Have the provider extend it, or choose another zone.", "由服务商扩容或改选区域。",
                   "4.1.2.2, 4.1.3.2"},
    [RULE_HOST_SMALL] = {"host-too-small", ASSESS_BLOCKER, "No single host there is large enough",
                         "目标没有足够大的主机", "Choose another zone.", "改选区域。", "3.2.1.1"},
    [RULE_QUOTA] = {"quota-short", ASSESS_BLOCKER, "The unit's quota on the target is too small",
                    "单位配额不足", "Have the quota raised.", "申请提高配额。", NULL},
    [RULE_GUEST_UNKNOWN] = {"guest-unknown", ASSESS_WARNING, "The guest's system is not known",
                            "客户机操作系统未知",
                            "Find out whether it has the drivers that the target needs.",
                            "确认客户机具备目标平台所需驱动。", NULL},
    [RULE_GUEST_OLD] = {"guest-too-old", ASSESS_BLOCKER, "The guest's system has no drivers for the target",
                        "客户机系统过旧，无目标平台驱动", "Upgrade the guest, or rebuild it.",
                        "升级或重建客户机。", NULL},
    [RULE_GUEST_WINDOWS] = {"guest-windows-drivers", ASSESS_WARNING,
                            "Windows needs the target's storage driver before its first start there",
                            "Windows 首次启动前须具备目标平台存储驱动",
                            "Inject virtio before the cut-over; else start it on SATA and e1000 first.",
                            "割接前注入 virtio 驱动，否则先以 SATA、e1000 启动。", NULL},
    [RULE_GUEST_LINUX] = {"guest-linux-drivers", ASSESS_WARNING,
                          "The initial RAM disk must hold the target's storage driver",
                          "初始内存盘须含目标平台存储驱动",
                          "Rebuild it with the target's drivers, and mount by UUID.",
                          "重建 initramfs 并以 UUID 挂载。", NULL},
    [RULE_AGENT] = {"agent-missing", ASSESS_WARNING, "No guest agent answers: file systems are not quiesced",
                    "客户机代理未应答，无法静默文件系统",
                    "Install the agent, or agree to a copy as after a power cut.",
                    "安装客户机代理，或接受掉电一致性。", NULL},
    [RULE_LICENCE] = {"licence-bound", ASSESS_INFO, "Licences bound to hardware may have to be renewed",
                      "与硬件绑定的许可可能需更新",
                      "Ask the vendors: UUID and MAC are kept, host, CPU and chipset change.",
                      "向软件厂商确认：UUID 与 MAC 保留，主机、CPU 与芯片组改变。", NULL},
    [RULE_PLACEMENT] = {"placement", ASSESS_BLOCKER, "It may not be placed there", "不符合部署规则",
                        "Choose a cloud and zone that the rules allow.", "选择符合规则的云与区域。",
                        "1.1, 1.3, 2.4.1"},
    [RULE_ZONE_KIND] = {"zone-kind-differs", ASSESS_WARNING, "Another kind of network zone",
                        "网络区域类型不同",
                        "Make sure that its users reach it there, and that others must not.",
                        "确认用户可达性与访问控制。", "2.4.1"},
    [RULE_NETWORK] = {"network-missing", ASSESS_BLOCKER, "The target does not have the zone's network",
                      "目标平台没有该区域的网络", "Have the provider make it, or correct the zone.",
                      "由服务商建立网络或更正区域配置。", NULL},
    [RULE_ADAPTER_NONE] = {"adapter-none", ASSESS_INFO, "It has no network card", "没有网卡",
                           "Nothing to do.", "无需处理。", NULL},
    [RULE_ADAPTERS] = {"adapters-several", ASSESS_WARNING,
                       "Several network cards: the first one is made there", "存在多块网卡，仅首块随迁",
                       "Add the others on the target by hand before the cut-over.",
                       "割接前在目标云手工补充其余网卡。", NULL},
    [RULE_MAC] = {"mac-kept", ASSESS_INFO, "The MAC of the first card is kept", "首块网卡 MAC 地址保留",
                  "Nothing to do.", "无需处理。", NULL},
    [RULE_ADDRESS] = {"address-changes", ASSESS_WARNING, "Its address belongs to the source's network",
                      "地址将改变", "Plan the new address, name service and firewall rules.",
                      "规划新地址、域名解析与防火墙策略。", "2.3.2"},
    [RULE_ADDRESS_INTERNET] = {"internet-address-stays", ASSESS_WARNING,
                               "A rented Internet address stays behind", "互联网地址不随迁",
                               "Rent one on the target and change the name service at cut-over.",
                               "在目标云租用地址并于割接时更改解析。", "2.3.2, 3.2.1.9"},
    [RULE_CONSENT] = {"consent-missing", ASSESS_WARNING, "The unit has not consented to its data leaving",
                      "使用单位尚未同意数据离开机房",
                      "Have the unit's administrator give the consent: nothing is copied "
                      "before.",
                      "由单位管理员出具同意书，此前不得复制。", "2.1.1, 2.5"},
    [RULE_CONSENT_IN_FORCE] = {"consent-in-force", ASSESS_INFO, "The unit's consent is on file", "同意书有效",
                               "Nothing to do.", "无需处理。", "2.1.1, 2.5"},
    [RULE_BANDWIDTH] = {"bandwidth-unknown", ASSESS_WARNING, "The bandwidth between the sites is not told",
                        "站点间带宽未知",
                        "Tell it, or measure it with a test copy: the times below assume that the disk "
                        "is the limit.",
                        "申报或实测带宽；下列时间按磁盘速度估算。", "4.1.3.3"},
    [RULE_DELTA] = {"delta-never-converges", ASSESS_WARNING, "It is written faster than it can be copied",
                    "变更快于复制", "More bandwidth, a quieter time, or a cold move.",
                    "增加带宽、选择低峰或冷迁移。", NULL},
    [RULE_WINDOW] = {"window-too-short", ASSESS_WARNING, "No way fits the agreed downtime", "停机窗口不足",
                     "Agree on a longer window, or more bandwidth.", "约定更长窗口或增加带宽。", "4.1.3.3"},
    [RULE_NO_METHOD] = {"no-method", ASSESS_BLOCKER, "There is no way to move it", "没有可行的迁移方式",
                        "See the reason of each method.", "见各方式的原因。", NULL},
    [RULE_PRICE] = {"price-changes", ASSESS_INFO, "Another price a month", "月费变化", "Tell the unit.",
                    "告知使用单位。", "3.1"},
    [RULE_PRICE_UNKNOWN] = {"price-unknown", ASSESS_WARNING, "The price there is not known", "目标价格未知",
                            "Have the provider's bid approved.", "核准服务商报价。", "3.1"},
};

const struct assess_rule_text *assess_rule_text(enum assess_rule rule)
{
    return &rules[rule];
}

const struct assess_rule_text *assess_rule_find(const char *id)
{
    for (size_t i = 0; i < ASSESS_RULE_COUNT; i++)
        if (!strcmp(rules[i].id, id))
            return &rules[i];
    return NULL;
}

const char *assess_kind_name(enum assess_kind kind)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        ASSESS_KINDS(X)
#undef X
    };
    return names[kind];
}

enum assess_kind assess_kind_parse(const char *name)
{
    int kind = 0;
    while (kind < ASSESS_KIND_COUNT && strcmp(assess_kind_name((enum assess_kind)kind), name) != 0)
        kind++;
    return (enum assess_kind)kind;
}

const char *assess_method_name(enum assess_method method)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        ASSESS_METHODS(X)
#undef X
    };
    return names[method];
}

const char *assess_severity_name(enum assess_severity severity)
{
    static const char *const names[] = {"info", "warning", "blocker"};
    return names[severity];
}
