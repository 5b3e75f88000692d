/* engine-calls-kit.h - the engine by itself: no world answers its calls but the test */
#ifndef TESTS_UNIT_ENGINE_CALLS_KIT_H
#define TESTS_UNIT_ENGINE_CALLS_KIT_H

#include "engine-kit.h"

/* Without a world: the calls that go out are kept until the test answers them. */
static inline int set_up(void **state)
{
    struct life *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    l->path = ":memory:";
    l->journal = open_journal(l->path);
    l->now = 1000 * USEC_PER_SEC;
    *state = l;
    return 0;
}

static inline int tear_down(void **state)
{
    struct life *l = *state;

    life_end(l);
    free(l);
    return 0;
}
/* The call of this kind that is out, which is the test's then. */
static inline struct call *take_out(struct life *l, enum call_kind kind)
{
    for (struct call **at = &l->calls; *at; at = &(*at)->next)
        if ((*at)->kind == kind) {
            struct call *c = *at;

            *at = c->next;
            return c;
        }
    fail_msg("no '%s' is out", call_kind_to_string(kind));
    abort(); /* the compiler does not know that it does not come here */
}

static inline bool is_out(const struct life *l, enum call_kind kind)
{
    for (const struct call *c = l->calls; c; c = c->next)
        if (c->kind == kind)
            return true;
    return false;
}

static inline void answered(struct life *l, struct call *c)
{
    engine_take_call(l->engine, c);
    engine_turn(l->engine);
}

/* The call hangs; its worker is written off, and the call itself stays the test's. */
static inline void written_off(struct life *l, const struct call *c, const uuid_t domain)
{
    struct call *told = call_new(c->kind);

    told->id = c->id;
    told->generation = c->generation;
    told->stuck = true;
    uuid_copy(told->domain, domain);
    told->result = error_set(&told->error, ERROR_UNKNOWN, "no answer");
    answered(l, told);
}

static const struct incarnation the_run = {"9d3e8bd0-5b2c-4c4a-9f3d-0c8f6a3f7b11", 4711, 100};

static inline void fill_running(struct sighting *seen, const uuid_t domain)
{
    uuid_copy(seen->domain, domain);
    seen->state = DOMAIN_RUNNING;
    seen->incarnation = the_run;
    seen->remembered = PROCESS_ALIVE;
}

/* The call's list has one domain. */
static inline struct sighting *listed(struct call *c)
{
    c->list.items = calloc(1, sizeof(*c->list.items));
    if (!c->list.items)
        abort();
    c->list.n = 1;
    return c->list.items;
}

/* The hypervisor is at hand, with one domain that runs. */
static inline void attach(struct life *l, const uuid_t domain)
{
    struct call *c;

    engine_turn(l->engine);
    c = take_out(l, CALL_CONNECT);
    c->has_processes = true;
    fill_running(listed(c), domain);
    answered(l, c);
}

static inline struct operation *put_stop(struct life *l, unsigned n, const uuid_t domain,
                                         enum stop_method method)
{
    struct operation *op = an_operation(n);

    uuid_copy(op->domain, domain);
    op->has_processes = true;
    op->incarnation = the_run;
    op->method = method;
    begin(l->journal);
    put_operation(l->journal, op);
    commit(l->journal);
    return op;
}

#endif
