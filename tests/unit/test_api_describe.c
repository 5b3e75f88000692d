/* test_api_describe.c - DescribeInstanceStatus over HTTP */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "api-kit.h"

#define DESCRIBE "/?Action=DescribeInstanceStatus"

/* The RequestId apart, which is another each time. */
static void assert_described(struct fixture *f, const char *target, const char *rest)
{
    _cleanup_(response) struct response r = get(f, target);
    const char *comma = r.body ? strchr(r.body, ',') : NULL;

    if (r.status != 200 || !comma || !text_equal(comma + 1, rest))
        fail_msg("%d %s, wanted %s", r.status, r.body, rest);
    assert_memory_equal(r.body, "{\"RequestId\":\"", 14);
}

static void instances_are_described_a_page_at_a_time(void **state)
{
    struct fixture *f = *state;

    assert_described(f, DESCRIBE,
                     "\"TotalCount\":3,\"PageNumber\":1,\"PageSize\":10,\"InstanceStatuses\":"
                     "{\"InstanceStatus\":[{\"InstanceId\":\"i-1\",\"Status\":\"Running\"},"
                     "{\"InstanceId\":\"i-2\",\"Status\":\"Stopped\"},"
                     "{\"InstanceId\":\"i-3\",\"Status\":\"Stopping\"}]}}");
    assert_described(f, DESCRIBE "&PageSize=2&PageNumber=2&ZoneId=z&ClusterId=c&RegionId=r",
                     "\"TotalCount\":3,\"PageNumber\":2,\"PageSize\":2,\"InstanceStatuses\":"
                     "{\"InstanceStatus\":[{\"InstanceId\":\"i-3\",\"Status\":\"Stopping\"}]}}");
    assert_described(f, DESCRIBE "&PageNumber=2147483647&PageSize=50",
                     "\"TotalCount\":3,\"PageNumber\":2147483647,\"PageSize\":50,"
                     "\"InstanceStatuses\":{\"InstanceStatus\":[]}}");
}

static void only_the_instances_that_are_named_are_described(void **state)
{
    struct fixture *f = *state;

    assert_described(f, DESCRIBE "&InstanceId.1=i-2&InstanceId.100=i-9",
                     "\"TotalCount\":1,\"PageNumber\":1,\"PageSize\":10,\"InstanceStatuses\":"
                     "{\"InstanceStatus\":[{\"InstanceId\":\"i-2\",\"Status\":\"Stopped\"}]}}");
    assert_described(f,
                     DESCRIBE
                     "&InstanceId.1=guest1&InstanceId.2=00000000-0000-0000-0000-00000000000A"
                     "&InstanceId.3=",
                     "\"TotalCount\":2,\"PageNumber\":1,\"PageSize\":10,\"InstanceStatuses\":"
                     "{\"InstanceStatus\":[{\"InstanceId\":\"i-1\",\"Status\":\"Running\"},"
                     "{\"InstanceId\":\"i-3\",\"Status\":\"Stopping\"}]}}");
}

static void instances_are_described_in_xml_too(void **state)
{
    struct fixture *f = *state;
    _cleanup_(response) struct response r = get(f, DESCRIBE "&Format=XML&PageSize=2");
    const char *rest = strstr(r.body, "</RequestId>");

    assert_memory_equal(r.body, "<DescribeInstanceStatusResponse><RequestId>", 43);
    assert_string_equal(rest + 12,
                        "<TotalCount>3</TotalCount><PageNumber>1</PageNumber><PageSize>2</PageSize>"
                        "<InstanceStatuses>"
                        "<InstanceStatus><InstanceId>i-1</InstanceId><Status>Running</Status>"
                        "</InstanceStatus>"
                        "<InstanceStatus><InstanceId>i-2</InstanceId><Status>Stopped</Status>"
                        "</InstanceStatus>"
                        "</InstanceStatuses></DescribeInstanceStatusResponse>");
}

static void wrong_pages_and_names_are_refused(void **state)
{
    static const struct {
        const char *target, *name;
    } cases[] = {
        {DESCRIBE "&PageSize=51", "PageSize"},
        {DESCRIBE "&PageSize=0", "PageSize"},
        {DESCRIBE "&PageNumber=0", "PageNumber"},
        {DESCRIBE "&PageNumber=-1", "PageNumber"},
        {DESCRIBE "&PageNumber=99999999999", "PageNumber"},
        {DESCRIBE "&PageNumber=1&PageNumber=1", "PageNumber"},
        {DESCRIBE "&InstanceId=i-1", "InstanceId"},
        {DESCRIBE "&InstanceId.0=i-1", "InstanceId.0"},
        {DESCRIBE "&InstanceId.101=i-1", "InstanceId.101"},
        {DESCRIBE "&InstanceId.01=i-1", "InstanceId.01"},
        {DESCRIBE "&InstanceId.1=i-1&InstanceId.1=i-2", "InstanceId.1"},
        {DESCRIBE "&InstanceId.1=%ff", "InstanceId.1"},
        {DESCRIBE "&ForceStop=true", "ForceStop"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_refused(get(f, cases[i].target), 400, "InvalidParameter", cases[i].name);
    assert_int_equal(stand_in_count(&f->engine, REQUEST_INSTANCES), 0);
    f->engine.code = ERROR_UNAVAILABLE;
    f->engine.message = "libvirt is not at hand";
    assert_refused(get(f, DESCRIBE), 503, "ServiceUnavailable", "libvirt is not at hand");
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(instances_are_described_a_page_at_a_time),
        T(only_the_instances_that_are_named_are_described),
        T(instances_are_described_in_xml_too),
        T(wrong_pages_and_names_are_refused),
    };

    return cmocka_run_group_tests_name("api: DescribeInstanceStatus", tests, NULL, NULL);
}
