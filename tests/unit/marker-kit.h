/* marker-kit.h - markers in a folder of the test's own */
#ifndef STOPD_TESTS_MARKER_KIT_H
#define STOPD_TESTS_MARKER_KIT_H

#include "base/json.h"
#include "engine/markers.h"
#include "scratch.h"

#define DOMAIN_A "11111111-1111-4111-8111-111111111111"
#define DOMAIN_B "22222222-2222-4222-8222-222222222222"
#define REQUEST "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E"

static inline const char *folder(void **state)
{
    return scratch_path(*state, "owed");
}

static inline int setup(void **state)
{
    return scratch_setup(state) < 0 || mkdir(folder(state), 0700) < 0 ? -1 : 0;
}

static inline struct marker a_marker(const char *domain, const char *target)
{
    struct marker m = {.kind = DISK_BLOCK};

    uuid_parse(domain, m.domain);
    strcpy(m.request_id, REQUEST);
    strcpy(m.boot_id, DOMAIN_B);
    pci_addresses_add(&m.controllers, "0000:01:00.0");
    m.instance_id = strdup("i-bp67acfmxazb4ph");
    m.target = strdup(target);
    m.device = strdup("/dev/nvme1n1");
    m.identity = json_tokener_parse("{\"size\":800166076416,\"serial\":\"S4EWNX0R\"}");
    return m;
}

static inline void write_one(void **state, const char *domain, const char *target)
{
    struct marker m = a_marker(domain, target);
    struct error *err = NULL;

    if (marker_write(folder(state), &m, &err) < 0)
        fail_msg("%s", error_message(err));
    marker_clear(&m);
}

static inline bool is_there(void **state, const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder(state), name);
    return access(path, F_OK) == 0;
}

static inline size_t count(void **state)
{
    struct marker_list l = {0};
    struct error *err = NULL;
    size_t n;

    if (markers_read(folder(state), &l, &err) < 0)
        fail_msg("%s", error_message(err));
    n = l.n;
    marker_list_clear(&l);
    return n;
}

#endif
