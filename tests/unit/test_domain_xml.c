/* test_domain_xml.c - contract section 7: what a domain's XML says */
#include "domain-xml-kit.h"

/* --- What is understood ---------------------------------------------------------------------- */

static void the_contracts_own_example(void **state)
{
    _cleanup_(instance_free) struct instance *i = with_metadata(
        "<ecs:instance " XMLNS " id=\"i-bp67acfmxazb4ph\" type=\"ecs.i1.xlarge\"\n"
        "  network=\"vpc\" charge=\"PostPaid\" spot=\"no\" status=\"ok\"\n"
        "  economical=\"no\" public-ip=\"203.0.113.7\">\n"
        "  <ecs:lock reason=\"security\"/>\n"
        "  <ecs:local-disk target=\"vdb\" serial=\"S4EWNX0R\" eui64=\"0025385b71b01234\"/>\n"
        "  <ecs:stop grace=\"300\" method=\"agent,acpi\" on-timeout=\"fail\" priority=\"10\"/>\n"
        "</ecs:instance>");

    assert_null(i->metadata_error);
    assert_string_equal(i->name, "guest");
    assert_string_equal(i->id, "i-bp67acfmxazb4ph");
    assert_string_equal(i->type, "ecs.i1.xlarge");
    assert_int_equal(i->network, NETWORK_VPC);
    assert_int_equal(i->charge, CHARGE_POSTPAID);
    assert_int_equal(i->account, ACCOUNT_OK);
    assert_false(i->spot);
    assert_int_equal(i->economical, TRISTATE_NO);
    assert_string_equal(i->public_ip, "203.0.113.7");
    assert_int_equal(i->n_locks, 1);
    assert_string_equal(i->locks[0], "security");
    assert_int_equal(i->n_local_disks, 1);
    assert_string_equal(i->local_disks[0].target, "vdb");
    assert_string_equal(i->local_disks[0].serial, "S4EWNX0R");
    assert_string_equal(i->local_disks[0].eui64, "0025385b71b01234");
    assert_null(i->local_disks[0].nguid);
    assert_null(i->local_disks[0].wwn);
    assert_int_equal(i->stop.grace, 300 * USEC_PER_SEC);
    assert_int_equal(i->stop.method, METHOD_AGENT_ACPI);
    assert_int_equal(i->stop.on_timeout, ON_TIMEOUT_FAIL);
    assert_int_equal(i->stop.priority, 10);
    assert_int_equal(i->vcpus, 2);
    assert_int_equal(i->memory_kib, 2097152);
}

static void a_domain_without_metadata_is_ordinary(void **state)
{
    _cleanup_(instance_free) struct instance *i =
        read_both("<domain><name>n</name><uuid>" UUID "</uuid></domain>", NULL, NULL);
    uuid_t uuid;

    uuid_parse(UUID, uuid);
    assert_int_equal(uuid_compare(i->uuid, uuid), 0);
    assert_string_equal(instance_public_id(i), "n");
    assert_null(i->id);
    assert_null(i->type);
    assert_null(i->metadata_error);
    assert_int_equal(i->economical, TRISTATE_UNSET);
    assert_int_equal(i->stop.method, METHOD_UNSET);
    assert_int_equal(i->n_disks, 0);
}

static void all_values(void **state)
{
    _cleanup_(instance_free) struct instance *i = with_metadata(
        "<e:instance xmlns:e='urn:stopd:instance:1' id='x' network='classic' charge='PrePaid' "
        "spot='yes' status='arrears' economical='yes' public-ip='2001:db8::7'>"
        "<e:local-disk target='vdc' nguid='0xACE42E00-1DE4-0000-8CE3-8EE30000AB01' "
        "wwn='0x5000c500a1b2c3d4'/>"
        "<e:stop grace='86400' method='acpi' on-timeout='force' priority='-3'/></e:instance>");

    assert_null(i->metadata_error);
    assert_int_equal(i->network, NETWORK_CLASSIC);
    assert_int_equal(i->charge, CHARGE_PREPAID);
    assert_true(i->spot);
    assert_int_equal(i->account, ACCOUNT_ARREARS);
    assert_int_equal(i->economical, TRISTATE_YES);
    assert_string_equal(i->public_ip, "2001:db8::7");
    assert_string_equal(i->local_disks[0].nguid, "ace42e001de400008ce38ee30000ab01");
    assert_string_equal(i->local_disks[0].wwn, "0x5000c500a1b2c3d4");
    assert_int_equal(i->stop.grace, 86400 * USEC_PER_SEC);
    assert_int_equal(i->stop.method, METHOD_ACPI);
    assert_int_equal(i->stop.on_timeout, ON_TIMEOUT_FORCE);
    assert_int_equal(i->stop.priority, -3);
}

static void the_prefix_is_anybodys(void **state)
{
    assert_accepted(
        "<instance xmlns='urn:stopd:instance:1' id='x'><lock reason='security'/></instance>");
    assert_accepted("<q:instance xmlns:q='urn:stopd:instance:1' id='x'/>");
}

static void foreign_elements_are_left_alone(void **state)
{
    assert_accepted("<app:x xmlns:app='urn:app'><app:instance id='y'/></app:x>"
                    "<ecs:instance " XMLNS " xmlns:o='urn:o' id='x' o:note='z'>"
                    "<!-- a note --><?pi?><o:lock reason='z'>text</o:lock></ecs:instance>");
}

static void lifecycle_actions(void **state)
{
    struct lifecycle lc;

    instance_free(
        read_both("<domain><name>n</name><uuid>" UUID "</uuid>"
                  "<on_poweroff>restart</on_poweroff><on_reboot>preserve</on_reboot></domain>",
                  NULL, &lc));
    assert_int_equal(lc.on_poweroff, LIFECYCLE_RESTART);
    assert_int_equal(lc.on_reboot, LIFECYCLE_PRESERVE);
    instance_free(read_both("<domain><name>n</name><uuid>" UUID "</uuid></domain>", NULL, &lc));
    assert_int_equal(lc.on_poweroff, LIFECYCLE_DESTROY);
    assert_int_equal(lc.on_reboot, LIFECYCLE_RESTART);
    instance_free(read_both("<domain><name>n</name><uuid>" UUID "</uuid>"
                            "<on_reboot>rename-restart</on_reboot></domain>",
                            NULL, &lc));
    assert_int_equal(lc.on_reboot, LIFECYCLE_UNKNOWN);
}

static void memory_units(void **state)
{
    static const struct {
        const char *memory;
        uint64_t kib;
    } cases[] = {
        {"<memory>1024</memory>", 1024},          {"<memory unit='GiB'>4</memory>", 4194304},
        {"<memory unit='b'>4096</memory>", 4},    {"<memory unit='KB'>1024</memory>", 1000},
        {"<memory unit='furlong'>1</memory>", 0}, {"<memory unit='TiB'>99999999999999</memory>", 0},
    };

    for (size_t k = 0; k < ELEMENTSOF(cases); k++) {
        _cleanup_(freep) char *xml = NULL;
        _cleanup_(instance_free) struct instance *i = NULL;

        assert_true(asprintf(&xml,
                             "<domain><name>n</name><uuid>" UUID "</uuid>%s<vcpu>8</vcpu></domain>",
                             cases[k].memory) > 0);
        i = read_both(xml, NULL, NULL);
        assert_int_equal(i->memory_kib, cases[k].kib);
        assert_int_equal(i->vcpus, 8);
    }
}

/* --- Disks ----------------------------------------------------------------------------------- */

static void assert_disk(const struct instance *i, size_t k, const char *target, const char *source,
                        enum disk_source kind)
{
    assert_true(k < i->n_disks);
    assert_string_equal(i->disks[k].target, target);
    assert_int_equal(i->disks[k].kind, kind);
    if (source)
        assert_string_equal(i->disks[k].source, source);
    else
        assert_null(i->disks[k].source);
}

static void disks_of_every_kind(void **state)
{
    _cleanup_(instance_free) struct instance *i = with_devices(
        "<disk type='file' device='disk'><source file='/img/a &amp; b.qcow2'/>"
        "<target dev='vda'/></disk>"
        "<disk type='block' device='disk'><source dev='/dev/nvme0n1'/><target dev='vdb'/></disk>"
        "<disk type='file' device='cdrom'><target dev='sda'/></disk>"
        "<disk type='network'><source protocol='rbd' name='p/i'/><target dev='vdc'/></disk>"
        "<x:disk xmlns:x='urn:x' type='block'><source dev='/dev/sdz'/></x:disk>");

    assert_int_equal(i->n_disks, 4);
    assert_disk(i, 0, "vda", "/img/a & b.qcow2", DISK_FILE);
    assert_disk(i, 1, "vdb", "/dev/nvme0n1", DISK_BLOCK);
    assert_disk(i, 2, "sda", NULL, DISK_FILE);
    assert_disk(i, 3, "vdc", NULL, DISK_OTHER);
    assert_false(i->has_passthrough_nvme);
}

static void assert_relative(const struct instance *i, size_t k, const char *target,
                            const char *path, const char *volume)
{
    const struct disk_relative *d = &i->relatives[k];

    assert_true(k < i->n_relatives);
    assert_string_equal(d->target, target);
    if (path)
        assert_string_equal(d->path, path);
    else
        assert_null(d->path);
    if (volume)
        assert_string_equal(d->volume, volume);
    else
        assert_null(d->volume);
}

/* As libvirt writes a snapshot's chain that is being copied, and a pool's volume. */
static void what_disks_name_beside_their_sources(void **state)
{
    _cleanup_(instance_free) struct instance *i = with_devices(
        "<disk type='file' device='disk'><source file='/img/top.qcow2' index='3'/>"
        "<backingStore type='block' index='2'><format type='raw'/><source dev='/dev/vg/base'>"
        "<slices><slice type='storage' offset='0' size='1'/></slices></source>"
        "<backingStore type='volume'><format type='raw'/><source pool='p' volume='v0'/>"
        "<backingStore/></backingStore></backingStore>"
        "<mirror type='block' file='/dev/old' job='copy'><format type='raw'/>"
        "<source dev='/dev/new' index='4'/></mirror><target dev='vda'/></disk>"
        "<disk type='volume'><source pool='p' volume='v1' mode='host'/><target dev='vdb'/></disk>"
        "<disk type='network'><source protocol='rbd' name='p/i'/><target dev='vdc'/></disk>"
        "<serial type='file'><source path='/log/console'/></serial>");
    _cleanup_(instance_free) struct instance *copy = instance_copy(i);

    assert_int_equal(i->n_relatives, 5);
    assert_relative(i, 0, "vda", "/dev/vg/base", NULL);
    assert_relative(i, 1, "vda", NULL, "v0");
    assert_relative(i, 2, "vda", "/dev/old", NULL);
    assert_relative(i, 3, "vda", "/dev/new", NULL);
    assert_relative(i, 4, "vdb", NULL, "v1");
    assert_string_equal(i->relatives[4].pool, "p");
    assert_disk(i, 1, "vdb", NULL, DISK_OTHER);
    assert_int_equal(copy->n_relatives, 5);
    assert_relative(copy, 4, "vdb", NULL, "v1");
}

static void pools(void **state)
{
    char *type = NULL, *folder = NULL;

    assert_int_equal(pool_xml_read("<pool type='dir'><name>p</name><target><path>/img</path>"
                                   "</target></pool>",
                                   &type, &folder, NULL),
                     0);
    assert_string_equal(type, "dir");
    assert_string_equal(folder, "/img");
    free(take(type));
    free(take(folder));
    assert_int_equal(pool_xml_read("<pool type='rbd'><source/></pool>", &type, &folder, NULL), 0);
    assert_string_equal(type, "rbd");
    assert_null(folder);
    free(take(type));
    assert_true(pool_xml_read("<domain/>", &type, &folder, NULL) < 0);
    assert_true(pool_xml_read("<!DOCTYPE pool><pool/>", &type, &folder, NULL) < 0);
    assert_null(type);
}

static void passed_through_nvme(void **state)
{
    static const char *const yes[] = {
        "<disk type='nvme'><source type='pci' namespace='1'/><target dev='vda'/></disk>",
        "<hostdev mode='subsystem' type='pci' managed='yes'><source/></hostdev>",
    };
    static const char *const no[] = {
        "<hostdev mode='subsystem' type='usb'><source/></hostdev>",
        "<interface type='hostdev'><source/></interface>",
        "<disk type='block'><source dev='/dev/nvme0n1'/><target dev='vda'/></disk>",
    };

    for (size_t k = 0; k < ELEMENTSOF(yes); k++) {
        _cleanup_(instance_free) struct instance *i = with_devices(yes[k]);
        assert_true(i->has_passthrough_nvme);
    }
    for (size_t k = 0; k < ELEMENTSOF(no); k++) {
        _cleanup_(instance_free) struct instance *i = with_devices(no[k]);
        assert_false(i->has_passthrough_nvme);
    }
}

/* --- Live and inactive ----------------------------------------------------------------------- */

#define INSTANCE(attributes, children) \
    "<ecs:instance " XMLNS " id='x' " attributes ">" children "</ecs:instance>"

static void a_lock_in_either_definition_locks(void **state)
{
    _cleanup_(instance_free) struct instance *a =
        with_both(INSTANCE("", "<ecs:lock reason='security'/>"), INSTANCE("", ""));
    _cleanup_(instance_free) struct instance *b =
        with_both(INSTANCE("", ""), INSTANCE("", "<ecs:lock reason='security'/>"));
    _cleanup_(instance_free) struct instance *c =
        with_both("", INSTANCE("", "<ecs:lock reason='security'/>"));
    _cleanup_(instance_free) struct instance *d =
        with_both(INSTANCE("", "<ecs:lock reason='security'/>"),
                  INSTANCE("", "<ecs:lock reason='security'/>"));

    assert_true(instance_is_locked_for(a, "security"));
    assert_true(instance_is_locked_for(b, "security"));
    assert_true(instance_is_locked_for(c, "security"));
    assert_string_equal(c->id, "x");
    assert_int_equal(d->n_locks, 1);
}

static void an_account_out_of_order_in_either_counts(void **state)
{
    _cleanup_(instance_free) struct instance *a =
        with_both(INSTANCE("status='arrears'", ""), INSTANCE("", ""));
    _cleanup_(instance_free) struct instance *b =
        with_both(INSTANCE("", ""), INSTANCE("status='expired'", ""));

    assert_int_equal(a->account, ACCOUNT_ARREARS);
    assert_int_equal(b->account, ACCOUNT_EXPIRED);
}

static void the_live_definition_describes_the_run(void **state)
{
    _cleanup_(instance_free) struct instance *i =
        with_both(INSTANCE("spot='no' network='vpc'", "<ecs:stop grace='7'/>"),
                  INSTANCE("spot='yes' network='classic'", "<ecs:stop grace='9'/>"));

    assert_false(i->spot);
    assert_int_equal(i->network, NETWORK_VPC);
    assert_int_equal(i->stop.grace, 7 * USEC_PER_SEC);
    assert_null(i->metadata_error);
}

static void contradictions_are_refused(void **state)
{
    static const struct {
        const char *live, *inactive, *why;
    } cases[] = {
        {"<ecs:instance " XMLNS " id='x'/>", "<ecs:instance " XMLNS " id='y'/>", "has the id"},
        {INSTANCE("type='ecs.i1.xlarge'", ""), INSTANCE("type='ecs.g6.large'", ""), "has the type"},
        {INSTANCE("", ""), INSTANCE("type='ecs.i1.xlarge'", ""), "has the type"},
        {INSTANCE("", "<ecs:local-disk target='vdb' serial='A'/>"),
         INSTANCE("", "<ecs:local-disk target='vdb' serial='B'/>"), "local disk 'vdb'"},
        {INSTANCE("", ""), INSTANCE("bogus='1'", ""), "in the inactive definition: "},
        {"", INSTANCE("bogus='1'", ""), "in the inactive definition: "},
        {INSTANCE("bogus='1'", ""), "", "unknown attribute"},
    };

    for (size_t k = 0; k < ELEMENTSOF(cases); k++) {
        _cleanup_(instance_free) struct instance *i = with_both(cases[k].live, cases[k].inactive);

        if (!i->metadata_error || !strstr(i->metadata_error, cases[k].why))
            fail_msg("case %zu: %s", k, i->metadata_error ? i->metadata_error : "accepted");
        assert_non_null(i->id);
    }
}

static void an_id_in_the_inactive_definition_finds_a_broken_live_one(void **state)
{
    _cleanup_(instance_free) struct instance *i =
        with_both("<ecs:instance " XMLNS "/>", "<ecs:instance " XMLNS " id='x'/>");

    assert_non_null(i->metadata_error);
    assert_string_equal(i->id, "x");
}

static void disks_are_those_of_both(void **state)
{
    _cleanup_(freep) char *live =
        domain(INSTANCE("", "<ecs:local-disk target='vdb' serial='A'/>"),
               "<disk type='block'><source dev='/dev/a'/><backingStore type='file'>"
               "<source file='/base'/></backingStore><target dev='vdb'/></disk>"
               "<disk type='file'><source file='/x'/><target dev='vda'/></disk>");
    _cleanup_(freep) char *inactive = domain(
        INSTANCE("", "<ecs:local-disk target='vdb' serial='A'/><ecs:local-disk target='vdc'/>"),
        "<disk type='block'><source dev='/dev/b'/><target dev='vdb'/></disk>"
        "<disk type='file'><source file='/x'/><backingStore type='file'><source file='/y'/>"
        "</backingStore><target dev='vda'/></disk>"
        "<hostdev type='pci'/>");
    _cleanup_(instance_free) struct instance *i = read_both(live, inactive, NULL);

    assert_null(i->metadata_error);
    assert_int_equal(i->n_disks, 3);
    assert_disk(i, 0, "vdb", "/dev/a", DISK_BLOCK);
    assert_disk(i, 1, "vda", "/x", DISK_FILE);
    assert_disk(i, 2, "vdb", "/dev/b", DISK_BLOCK);
    assert_int_equal(i->n_relatives, 2);
    assert_relative(i, 0, "vdb", "/base", NULL);
    assert_relative(i, 1, "vda", "/y", NULL);
    assert_int_equal(i->n_local_disks, 2);
    assert_string_equal(i->local_disks[1].target, "vdc");
    assert_true(i->has_passthrough_nvme);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_contracts_own_example),
        cmocka_unit_test(a_domain_without_metadata_is_ordinary),
        cmocka_unit_test(all_values),
        cmocka_unit_test(the_prefix_is_anybodys),
        cmocka_unit_test(foreign_elements_are_left_alone),
        cmocka_unit_test(lifecycle_actions),
        cmocka_unit_test(memory_units),
        cmocka_unit_test(disks_of_every_kind),
        cmocka_unit_test(what_disks_name_beside_their_sources),
        cmocka_unit_test(pools),
        cmocka_unit_test(passed_through_nvme),
        cmocka_unit_test(a_lock_in_either_definition_locks),
        cmocka_unit_test(an_account_out_of_order_in_either_counts),
        cmocka_unit_test(the_live_definition_describes_the_run),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(an_id_in_the_inactive_definition_finds_a_broken_live_one),
        cmocka_unit_test(disks_are_those_of_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
