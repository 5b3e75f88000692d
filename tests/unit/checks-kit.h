/* checks-kit.h - a command to an instance on a host, for tests of what becomes of it */
#ifndef STOPD_TESTS_CHECKS_KIT_H
#define STOPD_TESTS_CHECKS_KIT_H

#include "core/stop.h"

#include <stdio.h>
#include <string.h>

/* A command to an instance on a host, all of it in order until a test spoils something. */
struct scene {
    struct command command;
    struct instance *instance;
    struct policy policy;
    struct incarnation run;
    struct disk_plan plan;
    struct error plan_error;
    struct operation *running;
    struct check_context context;
};

static const char *const families[] = {"ecs.i1"};

static inline int setup(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->instance = instance_new();
    assert_non_null(s->instance);
    (void)text_replace(&s->instance->name, "vm1");
    (void)text_replace(&s->instance->id, "i-1");
    (void)text_replace(&s->instance->type, "ecs.g7.large");
    snprintf(s->command.request_id, sizeof(s->command.request_id),
             "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E");
    snprintf(s->command.principal.name, sizeof(s->command.principal.name), "tester");
    s->policy = (struct policy){
        .stop = {.grace = 120 * USEC_PER_SEC, .method = METHOD_ACPI, .on_timeout = ON_TIMEOUT_FAIL},
        .resend = 10 * USEC_PER_SEC,
        .stopped_mode = STOPPED_MODE_KEEP_CHARGING,
        .local_families = families,
        .n_local_families = ELEMENTSOF(families)};
    s->run = (struct incarnation){
        .boot_id = "9d3e8bd0-5b2c-4c4a-9f3d-0c8f6a3f7b11", .pid = 4711, .start_time = 100};
    s->plan_error =
        (struct error){.code = ERROR_DISK_STATUS, .message = (char *)"vdb has another serial"};
    s->context = (struct check_context){.policy = &s->policy,
                                        .instance = s->instance,
                                        .seen = DOMAIN_RUNNING,
                                        .certain = true,
                                        .has_processes = true,
                                        .incarnation = &s->run,
                                        .can_clear = true};
    *state = s;
    return 0;
}

static inline int teardown(void **state)
{
    struct scene *s = *state;

    instance_free(s->instance);
    operation_free(s->running);
    disk_plan_clear(&s->plan);
    free(s);
    return 0;
}

static inline void add_planned_disk(struct scene *s)
{
    struct planned_disk *d = disk_plan_add(&s->plan);

    assert_non_null(d);
    (void)text_replace(&d->target, "vdb");
    s->context.plan = &s->plan;
}

static inline void is_local_storage(struct scene *s)
{
    (void)text_replace(&s->instance->type, "ecs.i1.xlarge");
}

static inline void is_stopping(struct scene *s, enum stage stage, bool force)
{
    operation_free(s->running);
    s->running = operation_new();
    assert_non_null(s->running);
    snprintf(s->running->request_id, sizeof(s->running->request_id),
             "0C2AD9C6-7F4E-4B5C-8E0B-1D6E0E0F3A10");
    s->running->stage = stage;
    s->running->force_stop = force;
    s->context.running = s->running;
}

#endif
