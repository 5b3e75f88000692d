/* fuzz-domain-xml.c - a domain's definitions and their metadata: the live one, a NUL, the inactive
 * one */
#include "fuzz.h"

#include "drivers/hypervisor/domain-xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = fuzz_text(data, size);
    _cleanup_(error_free) struct error *error = NULL;
    struct instance *instance = NULL;
    struct lifecycle lifecycle = {0};
    const char *inactive = strlen(text) < size ? text + strlen(text) + 1 : NULL;
    const char *live = text[0] || !inactive ? text : NULL;
    int r = domain_xml_read(live, inactive, &instance, &lifecycle, &error);

    must((r < 0) == (error != NULL));
    must((r < 0) == (instance == NULL));
    if (instance) {
        must(is_set(instance->name));
        must(is_set(instance_public_id(instance)));
        must(lifecycle.on_poweroff < LIFECYCLE_MAX && lifecycle.on_reboot < LIFECYCLE_MAX);
    }
    instance_free(instance);
    return 0;
}
