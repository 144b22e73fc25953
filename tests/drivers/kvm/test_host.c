/* Pure parts: which architecture a host has, what libvirt's errors mean, what XML is taken and made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above before it. */
#include <cmocka.h>
#include <errno.h>
#include <libvirt/virterror.h>
#include <string.h>

#include "drivers/kvm/domain.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/host.h"
#include "drivers/kvm/kvm.h"
#include "drivers/kvm/storage.h"
#include "drivers/kvm/xml.h"
#include "drivers/registry.h"

static void test_architecture(void **state)
{
    static const struct {
        const char *arch, *vendor, *word;
        unsigned bit;
    } cases[] = {
        {"x86_64", "Intel", "x86", DRIVER_X86},    {"x86_64", "AMD", "x86", DRIVER_X86},
        {"x86_64", "Hygon", "C86", DRIVER_C86},    {"x86_64", NULL, "x86", DRIVER_X86},
        {"aarch64", "ARM", "ARM", DRIVER_ARM},     {"aarch64", NULL, "ARM", DRIVER_ARM},
        {"ppc64le", "IBM", "POWER", DRIVER_POWER}, {"riscv64", NULL, NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        const char *vendor =
            cases[i].vendor ? arena_printf(arena, "<vendor>%s</vendor>", cases[i].vendor) : "";
        const char *text =
            arena_printf(arena,
                         "<capabilities><host><uuid>u</uuid><cpu><arch>%s</arch>%s</cpu></host>"
                         "<guest><os_type>hvm</os_type><arch name='%s'><domain type='qemu'/>"
                         "<domain type='kvm'/></arch></guest></capabilities>",
                         cases[i].arch, vendor, cases[i].arch);
        struct kvm_host host;
        assert_null(kvm_host_parse(arena, text, &host));
        assert_string_equal(host.arch, cases[i].arch);
        assert_int_equal(host.bit, cases[i].bit);
        assert_true(host.kvm);
        if (cases[i].word)
            assert_string_equal(host.architecture, cases[i].word);
        else
            assert_null(host.architecture);
    }
}

static void test_kvm_of_another_architecture_does_not_count(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct kvm_host host;
    assert_null(
        kvm_host_parse(arena,
                       "<capabilities><host><uuid>u</uuid><cpu><arch>x86_64</arch></cpu></host>"
                       "<guest><arch name='i686'><domain type='kvm'/></arch></guest>"
                       "<guest><arch name='x86_64'><domain type='qemu'/></arch></guest></capabilities>",
                       &host));
    assert_false(host.kvm);
}

static void test_garbage_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "<domain/>",
        "<capabilities>",
        "<capabilities><host/></capabilities>",
        "<!DOCTYPE capabilities [<!ENTITY a "
        "'b'>]><capabilities><host><cpu><arch>&a;</arch></cpu></host></capabilities>",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        struct kvm_host host;
        struct error *error = kvm_host_parse(arena, texts[i], &host);
        assert_non_null(error);
        assert_int_equal(error_code(error), ERR_UNAVAILABLE);
        error_free(error);
    }
}

static void test_error_codes(void **state)
{
    static const struct {
        int code, domain, system;
        const char *message;
        enum error_code want;
    } cases[] = {
        {VIR_ERR_NO_DOMAIN, VIR_FROM_QEMU, 0, "Domain not found", ERR_NOT_FOUND},
        {VIR_ERR_OPERATION_INVALID, VIR_FROM_QEMU, 0, "domain is not running", ERR_CONFLICT},
        {VIR_ERR_OPERATION_TIMEOUT, VIR_FROM_QEMU, 0, "cannot acquire state change lock", ERR_BUSY},
        {VIR_ERR_AUTH_FAILED, VIR_FROM_RPC, 0, "authentication failed", ERR_DENIED},
        {VIR_ERR_SYSTEM_ERROR, VIR_FROM_STORAGE, ENOSPC, "cannot extend file", ERR_NO_CAPACITY},
        {VIR_ERR_SYSTEM_ERROR, VIR_FROM_STORAGE, EACCES, "cannot open", ERR_DENIED},
        {VIR_ERR_SYSTEM_ERROR, VIR_FROM_RPC, ECONNREFUSED, "Failed to connect socket", ERR_UNAVAILABLE},
        {VIR_ERR_SYSTEM_ERROR, VIR_FROM_RPC, ENOENT, "Failed to connect socket", ERR_UNAVAILABLE},
        {VIR_ERR_SYSTEM_ERROR, VIR_FROM_STORAGE, EIO, "cannot read", ERR_INTERNAL},
        {VIR_ERR_SYSTEM_ERROR, VIR_FROM_RPC, 0, "The server certificate has no known issuer", ERR_DENIED},
        {VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, 0, "client socket is closed", ERR_UNAVAILABLE},
        {VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU, 0, "qemu unexpectedly closed the monitor", ERR_INTERNAL},
        {VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU, 0, "cannot set up guest memory 'ram': Cannot allocate memory",
         ERR_NO_CAPACITY},
        {VIR_ERR_OPERATION_FAILED, VIR_FROM_STORAGE, 0, "qemu-img: write: No space left on device",
         ERR_NO_CAPACITY},
        {VIR_ERR_STORAGE_VOL_EXIST, VIR_FROM_STORAGE, 0, "volume exists", ERR_EXISTS},
        {VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_QEMU, 0, "not supported by this QEMU", ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char message[128];
        strncpy(message, cases[i].message, sizeof message - 1);
        message[sizeof message - 1] = '\0';
        virError error = {
            .code = cases[i].code, .domain = cases[i].domain, .int1 = cases[i].system, .message = message};
        assert_string_equal(error_code_name(kvm_fault_code(&error)), error_code_name(cases[i].want));
    }
}

static void test_texts_stay_data_in_xml(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct driver_session session = {.options = {.accel = "tcg"},
                                     .host = {.arch = "x86_64", .architecture = "x86"}};
    const struct kvm_new_disk disk = {.path = "/s", .target = "sda", .serial = "s", .boot = true};
    struct kvm_new_domain spec = {.id = "00000000-0000-4000-8000-000000000001",
                                  .name = "name",
                                  .mark = {.name = "a\"><b", .state = KVM_STATE_CREATING},
                                  .vcpu = 2,
                                  .memory_mb = 1024,
                                  .network = "n'&<x/>",
                                  .disks = &disk,
                                  .disk_count = 1,
                                  .seed = "/d",
                                  .console = "/c"};
    const char *text;
    assert_null(kvm_domain_write(&session, arena, &spec, &text));
    XML_AUTO struct kvm_xml *xml = NULL;
    assert_null(kvm_xml_parse(text, "domain", &xml));
    assert_string_equal(kvm_xml_text(xml, arena, NULL, "/domain/devices/interface/source/@network"),
                        spec.network);
    assert_string_equal(kvm_xml_text(xml, arena, NULL, "/domain/@type"), "qemu");
    struct kvm_domain domain;
    assert_null(kvm_domain_parse(arena, text, &domain));
    assert_true(domain.ours);
    assert_true(kvm_domain_is(&domain, KVM_STATE_CREATING));
    assert_false(domain.fenced);
    assert_string_equal(domain.mark.name, spec.mark.name);
    assert_int_equal(domain.vcpu, 2);
    assert_string_equal(kvm_domain_disk(&domain, "/s", "", "")->target, "sda");
    assert_null(kvm_domain_disk(&domain, "/other", "pool", "volume"));

    static const char *const bad[] = {"bell\a", "\xff\xfe"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        spec.network = bad[i];
        struct error *error = kvm_domain_write(&session, arena, &spec, &text);
        assert_non_null(error);
        assert_int_equal(error_code(error), ERR_INVALID);
        error_free(error);
    }
}

static void test_file_names(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *id = "00000000-0000-4000-8000-000000000001";
    for (int file = KVM_FILE_SYSTEM; file <= KVM_FILE_VOLUME; file++)
        for (int other = KVM_FILE_SYSTEM; other <= KVM_FILE_VOLUME; other++) {
            const char *found =
                kvm_storage_id(arena, kvm_storage_name(arena, id, (enum kvm_file)file), (enum kvm_file)other);
            if (file == other)
                assert_string_equal(found, id);
            else
                assert_null(found);
        }
    assert_null(kvm_storage_id(arena, "yunqiao-not-a-uuid.qcow2", KVM_FILE_VOLUME));
    assert_null(kvm_storage_id(arena, "yunqiao-00000000-0000-4000-8000-00000000000G.qcow2", KVM_FILE_VOLUME));
    assert_int_equal(kvm_storage_gb(1), 1);
    assert_int_equal(kvm_storage_gb(KVM_GIB), 1);
    assert_int_equal(kvm_storage_gb(KVM_GIB + 1), 2);
}

static void test_table_keeps_the_contract(void **state)
{
    struct error *error = driver_check(&kvm_driver);
    if (error)
        fail_msg("%s", error_message(error));
    assert_string_equal(kvm_driver.name, "kvm");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_architecture),
        cmocka_unit_test(test_kvm_of_another_architecture_does_not_count),
        cmocka_unit_test(test_garbage_is_refused),
        cmocka_unit_test(test_error_codes),
        cmocka_unit_test(test_texts_stay_data_in_xml),
        cmocka_unit_test(test_file_names),
        cmocka_unit_test(test_table_keeps_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
