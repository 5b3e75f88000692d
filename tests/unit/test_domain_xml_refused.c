/* test_domain_xml_refused.c - contract section 7: what is refused rather than guessed, and hostile
 * documents */
#include "domain-xml-kit.h"

/* --- What is refused ------------------------------------------------------------------------- */

static void wrong_values_are_refused(void **state)
{
    static const char *const attributes[] = {
        "network='VPC'",
        "network=''",
        "charge='postpaid'",
        "spot='true'",
        "spot='Yes'",
        "status='locked'",
        "economical='1'",
        "public-ip='203.0.113'",
        "public-ip=''",
        "public-ip='host.example'",
        "type=''",
        "type='ecs i1'",
        "type='ecs.i1&#10;'",
        "type='ecs.\xc3\xa4'",
    };
    static const char *const children[] = {
        "<ecs:stop grace='0'/>",
        "<ecs:stop grace='86401'/>",
        "<ecs:stop grace='1m'/>",
        "<ecs:stop grace=''/>",
        "<ecs:stop grace='-'/>",
        "<ecs:stop grace='+5'/>",
        "<ecs:stop grace='99999999999999999999'/>",
        "<ecs:stop grace=' 5'/>",
        "<ecs:stop method='acpi,agent'/>",
        "<ecs:stop method=''/>",
        "<ecs:stop on-timeout='Force'/>",
        "<ecs:stop on-timeout=''/>",
        "<ecs:stop priority='high'/>",
        "<ecs:lock reason=''/>",
        "<ecs:local-disk target=''/>",
        "<ecs:local-disk target='vdb' serial=''/>",
        "<ecs:local-disk target='vdb' serial=' S1'/>",
        "<ecs:local-disk target='vdb' eui64='0025'/>",
        "<ecs:local-disk target='vdb' eui64='0025385b71b0123g'/>",
        "<ecs:local-disk target='vdb' eui64='0000000000000000'/>",
        "<ecs:local-disk target='vdb' nguid='0025385b71b01234'/>",
        "<ecs:local-disk target='vdb' wwn=''/>",
    };

    for (size_t k = 0; k < ELEMENTSOF(attributes); k++) {
        _cleanup_(freep) char *xml = NULL;

        assert_true(asprintf(&xml, "<ecs:instance " XMLNS " id='x' %s/>", attributes[k]) > 0);
        assert_refused(xml, "valid value");
    }
    for (size_t k = 0; k < ELEMENTSOF(children); k++) {
        _cleanup_(freep) char *xml = NULL;

        assert_true(
            asprintf(&xml, "<ecs:instance " XMLNS " id='x'>%s</ecs:instance>", children[k]) > 0);
        assert_refused(xml, "valid value");
    }
    assert_refused("<ecs:instance " XMLNS " id=''/>", "valid value");
}

static void wrong_structure_is_refused(void **state)
{
    static const struct {
        const char *metadata, *why;
    } cases[] = {
        {"<ecs:instance " XMLNS "/>", "no id"},
        {"<ecs:instance " XMLNS " id='x'/><ecs:instance " XMLNS " id='x'/>", "two <instance>"},
        {"<ecs:instance " XMLNS " id='x' stauts='arrears'/>", "unknown attribute 'stauts'"},
        {"<ecs:instance " XMLNS " ecs:id='x'/>", "unknown attribute 'id'"},
        {"<ecs:instance " XMLNS " id='x'><ecs:lok reason='security'/></ecs:instance>",
         "unknown element <lok>"},
        {"<ecs:instance " XMLNS " id='x'><lock reason='security'/></ecs:instance>",
         "not in the namespace"},
        {"<ecs:instance " XMLNS " id='x'>security</ecs:instance>", "text"},
        {"<ecs:instance " XMLNS " id='x'><![CDATA[ ]]></ecs:instance>", "text"},
        {"<ecs:instance " XMLNS " id='x'><ecs:lock/></ecs:instance>", "no reason"},
        {"<ecs:instance " XMLNS " id='x'><ecs:lock reason='a'>b</ecs:lock></ecs:instance>",
         "anything in it"},
        {"<ecs:instance " XMLNS
         " id='x'><ecs:stop><ecs:lock reason='a'/></ecs:stop></ecs:instance>",
         "anything in it"},
        {"<ecs:instance " XMLNS " id='x'><ecs:stop/><ecs:stop/></ecs:instance>", "two <stop>"},
        {"<ecs:instance " XMLNS " id='x'><ecs:local-disk/></ecs:instance>", "no target"},
        {"<ecs:instance " XMLNS " id='x'><ecs:local-disk target='vdb'/>"
         "<ecs:local-disk target='vdb'/></ecs:instance>",
         "named twice"},
        {"<ecs:lock " XMLNS " reason='security'/><ecs:instance " XMLNS " id='x'/>", "stands where"},
        {"<a:x xmlns:a='urn:a'><ecs:instance " XMLNS " id='x'/></a:x>", "stands where"},
        {"<ecs:instance " XMLNS " id='x'><a:x xmlns:a='urn:a'><ecs:lock reason='y'/></a:x>"
         "</ecs:instance>",
         "stands where"},
        {"<ecs:instance xmlns:ecs='urn:stopd:instance:2' id='x'/>", "version"},
        {"</metadata><metadata><ecs:instance " XMLNS " id='x'/>", "two <metadata>"},
    };

    for (size_t k = 0; k < ELEMENTSOF(cases); k++)
        assert_refused(cases[k].metadata, cases[k].why);
}

/* A refused instance is still found by its id, and its locks count. */
static void what_can_be_read_of_a_refused_one_is(void **state)
{
    _cleanup_(instance_free) struct instance *i = with_metadata(
        "<ecs:instance " XMLNS " bogus='1' id='x'><ecs:lock reason='security'/></ecs:instance>");

    assert_non_null(i->metadata_error);
    assert_string_equal(i->id, "x");
    assert_true(instance_is_locked_for(i, "security"));
}

static void a_wrong_namespace_is_no_metadata(void **state)
{
    static const char *const cases[] = {
        "<instance id='x'/>",
        "<ecs:instance xmlns:ecs='urn:stopd:instance' id='x'/>",
        "<ecs:instance xmlns:ecs='URN:STOPD:INSTANCE:1' id='x'/>",
    };

    for (size_t k = 0; k < ELEMENTSOF(cases); k++) {
        _cleanup_(instance_free) struct instance *i = with_metadata(cases[k]);

        assert_null(i->id);
        assert_null(i->metadata_error);
    }
}

/* --- Hostile documents ----------------------------------------------------------------------- */

static void hostile_documents_are_refused_whole(void **state)
{
    static const char *const documents[] = {
        "",
        "nonsense",
        "<domain>",
        "<domain/>",
        "<domain><name>n</name></domain>",
        "<domain><name/><uuid>" UUID "</uuid></domain>",
        "<domain><name>n</name><uuid>not one</uuid></domain>",
        "<domainsnapshot><name>n</name><uuid>" UUID "</uuid></domainsnapshot>",
        "<d:domain xmlns:d='urn:d'><name>n</name><uuid>" UUID "</uuid></d:domain>",
        "<domain><name>n</name><uuid>" UUID "</uuid></domain><domain/>",
        "<domain><name>n\x01</name><uuid>" UUID "</uuid></domain>",
        "<domain><name>\xff\xfe</name><uuid>" UUID "</uuid></domain>",
        /* A DTD at all */
        "<!DOCTYPE domain><domain><name>n</name><uuid>" UUID "</uuid></domain>",
        /* A file of the host's */
        "<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>"
        "<domain><name>&e;</name><uuid>" UUID "</uuid></domain>",
        /* The network */
        "<!DOCTYPE d SYSTEM 'http://127.0.0.1:9/d.dtd'><domain><name>n</name><uuid>" UUID
        "</uuid></domain>",
        /* A thousand million laughs, in an element and in an attribute */
        "<!DOCTYPE d [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>"
        "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'><!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;'>"
        "<!ENTITY e '&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;'><!ENTITY f '&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;'>"
        "<!ENTITY g '&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;'><!ENTITY h '&g;&g;&g;&g;&g;&g;&g;&g;&g;&g;'>"
        "<!ENTITY i '&h;&h;&h;&h;&h;&h;&h;&h;&h;&h;'>]>"
        "<domain x='&i;'><name>&i;</name><uuid>" UUID "</uuid></domain>",
        /* An entity that holds itself */
        "<!DOCTYPE d [<!ENTITY a '&b;'><!ENTITY b '&a;'>]><domain><name>&a;</name></domain>",
    };

    for (size_t k = 0; k < ELEMENTSOF(documents); k++) {
        struct instance *i = NULL;
        struct lifecycle lc;
        _cleanup_(error_free) struct error *err = NULL;

        if (domain_xml_read(documents[k], NULL, &i, &lc, &err) == 0)
            fail_msg("document %zu was accepted", k);
        assert_int_equal(error_code_of(err), ERROR_UNKNOWN);
        assert_null(strchr(error_message(err), '\n'));
        assert_null(i);
    }
}

static void a_hostile_inactive_definition_is_no_better(void **state)
{
    struct instance *i = NULL;
    struct lifecycle lc;

    assert_true(domain_xml_read("<domain><name>n</name><uuid>" UUID "</uuid></domain>",
                                "<!DOCTYPE d><domain/>", &i, &lc, NULL) < 0);
    assert_null(i);
}

static void a_document_of_great_depth_is_refused(void **state)
{
    size_t depth = 100000;
    char *xml = calloc(depth * 7 + 256, 1);
    struct instance *i = NULL;
    struct lifecycle lc;
    char *p = xml;

    assert_non_null(xml);
    p += sprintf(p, "<domain><name>n</name><uuid>" UUID "</uuid><metadata>");
    for (size_t k = 0; k < depth; k++)
        p += sprintf(p, "<a>");
    for (size_t k = 0; k < depth; k++)
        p += sprintf(p, "</a>");
    sprintf(p, "</metadata></domain>");
    assert_true(domain_xml_read(xml, NULL, &i, &lc, NULL) < 0);
    assert_null(i);
    free(xml);
}

static void a_long_value_is_not_repeated_to_people(void **state)
{
    char value[4000], xml[4200];
    _cleanup_(instance_free) struct instance *i = NULL;

    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    snprintf(xml, sizeof(xml), "<ecs:instance " XMLNS " id='%s'/>", value);
    i = with_metadata(xml);
    assert_non_null(i->metadata_error);
    assert_true(strlen(i->metadata_error) < 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(wrong_structure_is_refused),
        cmocka_unit_test(what_can_be_read_of_a_refused_one_is),
        cmocka_unit_test(a_wrong_namespace_is_no_metadata),
        cmocka_unit_test(hostile_documents_are_refused_whole),
        cmocka_unit_test(a_hostile_inactive_definition_is_no_better),
        cmocka_unit_test(a_document_of_great_depth_is_refused),
        cmocka_unit_test(a_long_value_is_not_repeated_to_people),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
