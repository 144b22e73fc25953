/* One suite that every driver passes against a real or protocol-true peer, through the gate as in production.
 * `conformance.NAME [PATTERN]` runs the cases whose name matches (as cmocka's filter: * and ?). */
#include "tests/conformance/bench.h"
#include "tests/conformance/cases.h"

int main(int argc, char **argv)
{
#define X(name) cmocka_unit_test_setup_teardown(name, case_start, case_end),
    const struct CMUnitTest conformance[] = {ENDPOINT_CASES(X) INSTANCE_CASES(X) VOLUME_CASES(X) MOVE_CASES(X)
                                                 TEST_BOOT_CASES(X)};
    const struct CMUnitTest moves[] = {MOVE_CASES(X) TEST_BOOT_CASES(X)};
#undef X
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    if (conformance_peer.moves_only)
        return cmocka_run_group_tests(moves, bench_start, bench_stop);
    return cmocka_run_group_tests(conformance, bench_start, bench_stop);
}
