/* sighting.c - words and ownership of what a look at a domain brings */
#include "stopd/hypervisor.h"

#include <string.h>

DEFINE_ENUM_WORDS(enum domain_state, domain_state, DOMAIN_STATE_MAX, "unknown", "running", "paused",
                  "pmsuspended", "crashed", "ending", "off", "absent");
DEFINE_ENUM_WORDS(enum end_cause, end_cause, END_CAUSE_MAX, "unknown", "shutdown", "destroyed",
                  "crashed", "saved", "migrated", "failed", "daemon");
DEFINE_ENUM_WORDS(enum lifecycle_action, lifecycle_action, LIFECYCLE_MAX, "unknown", "destroy",
                  "restart", "preserve");
DEFINE_ENUM_WORDS(enum process_fate, process_fate, PROCESS_FATE_MAX, "none", "alive", "ended",
                  "unknown");
DEFINE_ENUM_WORDS(enum button, button, BUTTON_MAX, "acpi", "agent");

bool incarnation_equal(const struct incarnation *a, const struct incarnation *b)
{
    return a->pid == b->pid && a->start_time == b->start_time &&
           strcmp(a->boot_id, b->boot_id) == 0;
}

void sighting_clear(struct sighting *s)
{
    free(s->process_detail);
    instance_free(s->instance);
    *s = (struct sighting){0};
}

void sighting_cleanup(struct sighting *s)
{
    sighting_clear(s);
}

void sightings_clear(struct sightings *s)
{
    for (size_t i = 0; i < s->n; i++)
        sighting_clear(&s->items[i]);
    free(s->items);
    *s = (struct sightings){0};
}
