/* fuzz-parameters.c - a query or form, down to the command that it makes */
#include "fuzz.h"

#include "api/urlencoded.h"

static void reverse(struct parameters *p)
{
    for (size_t i = 0; i < p->n / 2; i++) {
        struct parameter other = p->items[i];

        p->items[i] = p->items[p->n - 1 - i];
        p->items[p->n - 1 - i] = other;
    }
}

static void check(const struct command *c)
{
    must(is_set(c->instance_id));
    must(c->fingerprint);
    must(c->grace == 0 || (c->grace >= USEC_PER_SEC && c->grace <= 86400 * USEC_PER_SEC));
    must(!c->client_token || (strlen(c->client_token) > 0 && strlen(c->client_token) <= 64));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(error_free) struct error *error = NULL;
    struct parameters p = {0};
    struct command c = {0}, again = {0};
    int r = urlencoded_parse((const char *)data, size, &p, &error);

    must((r < 0) == (error != NULL));
    must(p.n <= PARAMETERS_MOST);
    error_free(take(error));
    r = command_parse(&p, &c, &error);
    must((r < 0) == (error != NULL));
    if (r >= 0) {
        check(&c);
        /* The order of parameters says nothing. */
        reverse(&p);
        must(command_parse(&p, &again, NULL) >= 0);
        must(text_equal(c.fingerprint, again.fingerprint));
        must(c.force_stop == again.force_stop && c.confirm_stop == again.confirm_stop);
    }
    command_clear(&again);
    command_clear(&c);
    parameters_clear(&p);
    return 0;
}
