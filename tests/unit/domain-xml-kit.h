/* domain-xml-kit.h - domains' XML, and what is read of it */
#ifndef STOPD_TESTS_DOMAIN_XML_KIT_H
#define STOPD_TESTS_DOMAIN_XML_KIT_H

#include "drivers/hypervisor/domain-xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define UUID "c7a5fdbd-edaf-9455-926a-d65c16db1809"
#define XMLNS "xmlns:ecs='urn:stopd:instance:1'"

/* A domain with this metadata, these devices. */
static inline char *domain(const char *metadata, const char *devices)
{
    char *xml;

    assert_true(asprintf(&xml,
                         "<domain type='kvm' id='7'><name>guest</name><uuid>" UUID "</uuid>"
                         "<metadata>%s</metadata>"
                         "<memory unit='KiB'>2097152</memory><vcpu current='2'>4</vcpu>"
                         "<devices>%s</devices></domain>",
                         metadata, devices) > 0);
    return xml;
}

static inline struct instance *read_both(const char *live, const char *inactive,
                                         struct lifecycle *lifecycle)
{
    struct instance *instance = NULL;
    struct lifecycle ignored;
    struct error *err = NULL;
    int r = domain_xml_read(live, inactive, &instance, lifecycle ? lifecycle : &ignored, &err);

    if (r < 0)
        fail_msg("%s", error_message(err));
    assert_non_null(instance);
    return instance;
}

/* The instance that this metadata makes. */
static inline struct instance *with_metadata(const char *metadata)
{
    _cleanup_(freep) char *xml = domain(metadata, "");

    return read_both(xml, NULL, NULL);
}

static inline struct instance *with_devices(const char *devices)
{
    _cleanup_(freep) char *xml = domain("", devices);

    return read_both(xml, NULL, NULL);
}

/* The union of a live and an inactive definition with this metadata each. */
static inline struct instance *with_both(const char *live, const char *inactive)
{
    _cleanup_(freep) char *a = domain(live, "");
    _cleanup_(freep) char *b = domain(inactive, "");

    return read_both(a, b, NULL);
}

static inline void assert_refused(const char *metadata, const char *why)
{
    _cleanup_(instance_free) struct instance *i = with_metadata(metadata);

    if (!i->metadata_error)
        fail_msg("not refused: %s", metadata);
    if (!strstr(i->metadata_error, why))
        fail_msg("'%s' does not say '%s'", i->metadata_error, why);
}

static inline void assert_accepted(const char *metadata)
{
    _cleanup_(instance_free) struct instance *i = with_metadata(metadata);

    if (i->metadata_error)
        fail_msg("%s: %s", metadata, i->metadata_error);
    assert_non_null(i->id);
}

#endif
