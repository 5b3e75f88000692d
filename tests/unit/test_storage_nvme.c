/* test_storage_nvme.c - what an NVMe device is, and that it is formatted: identity, neighbours,
 * Format */
#include "nvme-kit.h"

/* --- Identity -------------------------------------------------------------------------------- */

static void identity_is_what_the_controller_says(void **state)
{
    struct fixture *f = *state;
    static const uint8_t eui64[8] = {0x00, 0x25, 0x38, 0x5b, 0x71, 0xb0, 0x12, 0x34};
    struct storage_identity i;

    memcpy(mock.ns.eui64, eui64, sizeof(eui64));
    mock.descriptors[0] = NVME_NIDT_UUID;
    mock.descriptors[1] = 16;
    memset(mock.descriptors + 4, 0xab, 16);
    assert_int_equal(device(f)->ops->identify(f->device, &i, NULL), 0);
    assert_string_equal(i.value[IDENTITY_SERIAL], "S4EWNX0R");
    assert_string_equal(i.value[IDENTITY_MODEL], "EXAMPLE SSD");
    assert_string_equal(i.value[IDENTITY_FIRMWARE], "1.0");
    assert_string_equal(i.value[IDENTITY_NSID], "7");
    assert_string_equal(i.value[IDENTITY_EUI64], "0025385b71b01234");
    assert_string_equal(i.value[IDENTITY_NGUID], "");
    assert_string_equal(i.value[IDENTITY_UUID], "abababababababababababababababab");
    assert_string_equal(i.value[IDENTITY_SEQUENCE], "12");
}

static void broken_descriptors_are_no_identity(void **state)
{
    struct fixture *f = *state;
    struct storage_identity i;

    memset(mock.descriptors, 0xff, sizeof(mock.descriptors));
    assert_int_equal(device(f)->ops->identify(f->device, &i, NULL), 0);
    memset(mock.descriptors, 0, sizeof(mock.descriptors));
    for (size_t at = 0; at < sizeof(mock.descriptors); at += 4) /* types without an end */
        mock.descriptors[at + 1] = 0x04;
    assert_int_equal(device(f)->ops->identify(f->device, &i, NULL), 0);
    assert_string_equal(i.value[IDENTITY_UUID], "");
}

static void another_namespace_behind_the_descriptor_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct storage_identity before, after;

    assert_int_equal(device(f)->ops->identify(f->device, &before, NULL), 0);
    mock.nsid = 8;
    assert_int_equal(f->device->ops->identify(f->device, &after, NULL), 0);
    assert_int_equal(identity_difference(&before, &after), IDENTITY_NSID);
}

static void kernel_and_controller_must_agree_on_the_size(void **state)
{
    struct fixture *f = *state;
    struct storage_identity i;

    device(f);
    mock.ns.nsze = htole64(SIZE / 512 - 1);
    assert_true(f->device->ops->identify(f->device, &i, NULL) < 0);
}

static void a_question_is_asked_again_after_a_reset(void **state)
{
    struct fixture *f = *state;
    struct storage_identity i;

    device(f);
    mock.identify_failures = 3;
    assert_int_equal(f->device->ops->identify(f->device, &i, NULL), 0);
    mock.identify_failures = 1000;
    assert_true(f->device->ops->identify(f->device, &i, NULL) < 0);
}

/* --- Format ---------------------------------------------------------------------------------- */

/* FNA: bit 0 a format, bit 1 a secure erase reaches all namespaces, bit 2 there is a cryptographic
 * erase. */
static void the_fna_bits_decide(void **state)
{
    struct fixture *f = *state;

    for (uint8_t fna = 0; fna < 16; fna++) {
        struct storage_offer crypto, user_data;

        mock.controller.fna = fna;
        crypto = offer(f, CLEAR_NVME_FORMAT_CRYPTO);
        user_data = offer(f, CLEAR_NVME_FORMAT_USER_DATA);
        assert_int_equal(crypto.is_available, (fna & 4) != 0);
        assert_true(user_data.is_available);
        assert_int_equal(crypto.reach, fna & 3 ? REACH_SUBSYSTEM : REACH_DEVICE);
        assert_int_equal(user_data.reach, fna & 3 ? REACH_SUBSYSTEM : REACH_DEVICE);
        assert_int_equal(crypto.level, LEVEL_CLEAR);
        assert_int_equal(user_data.level, LEVEL_CLEAR);
    }
}

static void no_format_without_oacs(void **state)
{
    struct fixture *f = *state;

    mock.controller.oacs = 0;
    mock.controller.fna = 4;
    assert_false(offer(f, CLEAR_NVME_FORMAT_CRYPTO).is_available);
    assert_false(offer(f, CLEAR_NVME_FORMAT_USER_DATA).is_available);
}

static void a_zoned_namespace_is_known_and_cannot_be_cleared(void **state)
{
    struct fixture *f = *state;
    struct storage_identity identity;

    plant(f->scratch, "sys/devices/nvme0/nvme0n1/queue/zoned", "host-managed\n");
    for (int method = 0; method < CLEAR_METHOD_MAX; method++) {
        struct storage_offer o = offer(f, (enum clear_method)method);

        assert_false(o.is_available);
        assert_non_null(strstr(o.why, "zoned"));
    }
    assert_int_equal(f->device->ops->identify(f->device, &identity, NULL), 0);
}

static void a_format_keeps_the_layout(void **state)
{
    struct fixture *f = *state;

    mock.ns.flbas = 0x03 | 1 << 4 | 2 << 5; /* format 3 + 16 * 2, extended metadata */
    mock.ns.lbaf[3 + 32].ds = 9;
    mock.ns.dps = 2 | 1 << 3; /* protection type 2, in the first bytes */
    assert_int_equal(clear(f, CLEAR_NVME_FORMAT_CRYPTO, true, NULL), 0);
    assert_int_equal(mock.n_format, 1);
    assert_int_equal(mock.format.nsid, OURS);
    assert_int_equal(mock.format.cdw10, 3 | 1 << 4 | 2 << 5 | 1 << 8 | 2 << 9 | 2 << 12);
    assert_int_equal(f->record.n, 1);
    assert_int_equal(f->record.commands[0].cdw10, mock.format.cdw10);
    assert_true(f->record.commands[0].is_admin);
}

static void user_data_is_another_secure_erase(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(clear(f, CLEAR_NVME_FORMAT_USER_DATA, true, NULL), 0);
    assert_int_equal(mock.format.cdw10, 1 << 9);
}

static void a_format_that_is_turned_down_has_failed(void **state)
{
    struct fixture *f = *state;

    mock.format_status = 0x10a; /* invalid format */
    assert_fails_with(f, CLEAR_NVME_FORMAT_USER_DATA, true, "status 0x10a");
    assert_int_equal(f->record.commands[0].status, 0x10a);
}

static void a_format_without_an_answer_has_failed_and_is_not_sent_again(void **state)
{
    struct fixture *f = *state;

    mock.format_status = -EINTR;
    assert_fails_with(f, CLEAR_NVME_FORMAT_USER_DATA, true, "Interrupted");
    assert_int_equal(mock.n_format, 1);
}

/* --- Neighbours ------------------------------------------------------------------------------ */

static struct storage_neighbours neighbours(struct fixture *f)
{
    struct storage_neighbours n;

    assert_int_equal(device(f)->ops->neighbours(f->device, &n, NULL), 0);
    return n;
}

static void alone(void **state)
{
    struct storage_neighbours n = neighbours(*state);

    assert_int_equal(n.n, 0);
    assert_string_equal(n.unknown, "");
    assert_string_equal(n.foreign_controller, "");
    assert_string_equal(n.subsystem, "nqn.2019-08.org.example:one");
}

static void the_others_are_named(void **state)
{
    struct storage_neighbours n;

    mock.namespaces[1] = 9;
    mock.namespaces[2] = 11;
    n = neighbours(*state);
    assert_int_equal(n.n, 2);
    assert_int_equal(n.nsids[0], 9);
}

static void other_controllers_may_have_what_this_one_does_not_show(void **state)
{
    mock.controller.cmic = NVME_CTRL_CMIC_MULTI_CTRL;
    assert_string_not_equal(neighbours(*state).unknown, "");
    /* A controller that manages namespaces lists all that are allocated. */
    mock.controller.oacs = htole16(NVME_CTRL_OACS_FORMAT | NVME_CTRL_OACS_NS_MGMT);
    assert_string_equal(neighbours(*state).unknown, "");
}

static void a_controller_elsewhere_is_a_stranger(void **state)
{
    mock.controller.cmic = NVME_CTRL_CMIC_MULTI_CTRL;
    mock.ns.nmic = NVME_NS_NMIC_SHARED;
    mock.controllers[0] = htole16(1);
    mock.controllers[1] = htole16(1); /* ours */
    assert_string_equal(neighbours(*state).foreign_controller, "");
    mock.controllers[0] = htole16(2);
    mock.controllers[2] = htole16(65); /* a virtual function that a guest has */
    assert_non_null(strstr(neighbours(*state).foreign_controller, "controller 65"));
    mock.attached_status = 0x2;
    assert_non_null(strstr(neighbours(*state).foreign_controller, "does not say"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        NVME_TEST(identity_is_what_the_controller_says),
        NVME_TEST(broken_descriptors_are_no_identity),
        NVME_TEST(another_namespace_behind_the_descriptor_is_noticed),
        NVME_TEST(kernel_and_controller_must_agree_on_the_size),
        NVME_TEST(a_question_is_asked_again_after_a_reset),
        NVME_TEST(the_fna_bits_decide),
        NVME_TEST(no_format_without_oacs),
        NVME_TEST(a_zoned_namespace_is_known_and_cannot_be_cleared),
        NVME_TEST(a_format_keeps_the_layout),
        NVME_TEST(user_data_is_another_secure_erase),
        NVME_TEST(a_format_that_is_turned_down_has_failed),
        NVME_TEST(a_format_without_an_answer_has_failed_and_is_not_sent_again),
        NVME_TEST(alone),
        NVME_TEST(the_others_are_named),
        NVME_TEST(other_controllers_may_have_what_this_one_does_not_show),
        NVME_TEST(a_controller_elsewhere_is_a_stranger),
    };

    return cmocka_run_group_tests_name("nvme", tests, NULL, NULL);
}
