/* wiper-named.c - what a survey says of one disk */
#include "engine/wiper-survey.h"

#include <string.h>

const struct sighting *survey_find(const struct survey *v, const uuid_t domain)
{
    for (size_t i = 0; i < v->domains.n; i++)
        if (uuid_compare(v->domains.items[i].domain, domain) == 0)
            return &v->domains.items[i];
    return NULL;
}

int survey_is_whole(const struct survey *v, const uuid_t domain, struct error **err)
{
    for (size_t i = 0; i < v->domains.n; i++) {
        const struct sighting *s = &v->domains.items[i];
        char text[UUID_TEXT_SIZE];

        if ((s->instance && s->state != DOMAIN_UNKNOWN) || uuid_compare(s->domain, domain) == 0)
            continue;
        uuid_unparse_lower(s->domain, text);
        return error_set(err, ERROR_UNKNOWN,
                         "which disks domain %s names cannot be told at present",
                         s->instance ? s->instance->name : text);
    }
    for (size_t i = 0; i < v->n_untold; i++) {
        const struct untold_disk *d = &v->untold[i];

        if (uuid_compare(d->domain->domain, domain) != 0)
            return error_set(err, ERROR_UNKNOWN,
                             "what disk %s of domain %s is cannot be told (volume %s of pool %s): "
                             "%s",
                             d->target ? d->target : "without a target", d->domain->instance->name,
                             d->volume->volume, d->volume->pool, error_message(d->volume->error));
    }
    return 0;
}

const struct named_disk *survey_find_other(const struct survey *v, const uuid_t domain,
                                           const char *device, const struct disk_node *node)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct named_disk *d = &v->disks[i];

        if (uuid_compare(d->domain->domain, domain) == 0)
            continue;
        if (disk_nodes_share(&d->node, node) || text_equal(d->source, device))
            return d;
    }
    return NULL;
}
