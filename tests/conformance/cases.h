/* The cases of the suite, by what they are about; conformance.c makes the table of them. */
#ifndef TESTS_CONFORMANCE_CASES_H
#define TESTS_CONFORMANCE_CASES_H

#define ENDPOINT_CASES(X)              \
    X(about_names_the_product)         \
    X(capacity_is_sane_and_follows)    \
    X(inventory_offers_places)         \
    X(foreign_instances_have_no_stamp) \
    X(clouds_do_not_see_each_other)    \
    X(wrong_password_is_denied)        \
    X(wrong_certificate_is_denied)     \
    X(unknown_option_is_invalid)       \
    X(nobody_there_is_unavailable)     \
    X(sessions_work_at_once)           \
    X(watch_tells_changes)

#define INSTANCE_CASES(X)            \
    X(create_is_idempotent)          \
    X(find_verifies_the_hint)        \
    X(power_operations_repeat)       \
    X(resize_is_exact)               \
    X(console_shows_the_guest)       \
    X(delete_repeats)                \
    X(unknown_instance_is_not_found) \
    X(wrong_image_leaves_nothing)    \
    X(wrong_network_leaves_nothing)  \
    X(too_big_is_refused)            \
    X(cancelled_create_is_finished)  \
    X(timed_out_create_is_finished)

#define VOLUME_CASES(X)                \
    X(volume_create_is_idempotent)     \
    X(volume_attach_and_detach_repeat) \
    X(volume_is_attached_once)         \
    X(volume_grows_only)               \
    X(volume_delete_repeats)           \
    X(volume_outlives_its_instance)    \
    X(unknown_volume_is_not_found)

#define MOVE_CASES(X)                 \
    X(detail_tells_the_disks)         \
    X(detail_knows_volumes)           \
    X(fence_bars_the_start)           \
    X(fenced_instance_is_deleted)     \
    X(prepared_instance_waits)        \
    X(prepare_spares_what_lives)      \
    X(written_disks_start)            \
    X(writing_goes_on)                \
    X(writing_wants_a_fence)          \
    X(read_export_is_a_point_in_time) \
    X(read_export_of_a_stopped_one)   \
    X(delta_tells_what_changed)       \
    X(unkept_checkpoint_is_forgotten) \
    X(remote_disks_want_certificates) \
    X(export_of_the_unknown)          \
    X(deleted_while_exported)         \
    X(snapshot_brings_disks_back)     \
    X(revert_ends_deltas)             \
    X(live_move_changes_sides)        \
    X(cancelled_move_stays)

#define TEST_BOOT_CASES(X)        \
    X(test_boot_spares_the_disks) \
    X(test_boot_wants_a_fence)    \
    X(cut_off_test_boot_is_cleared)

#define X(name) void name(void **state);
ENDPOINT_CASES(X)
INSTANCE_CASES(X)
VOLUME_CASES(X)
MOVE_CASES(X)
TEST_BOOT_CASES(X)
#undef X

#endif
