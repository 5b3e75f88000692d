/* fuzz-message.c - a command as a queue brings it: a JSON object of parameters, down to the command
 */
#include "fuzz.h"

#include "core/command.h"

static void check(const struct command *c)
{
    must(is_set(c->instance_id));
    must(c->fingerprint);
    must(c->grace == 0 || (c->grace >= USEC_PER_SEC && c->grace <= 86400 * USEC_PER_SEC));
    must(!c->client_token || (strlen(c->client_token) > 0 && strlen(c->client_token) <= 64));
}

/* Its parameters as an object of texts say the same. */
static void check_again(const struct parameters *p, const struct command *c)
{
    _cleanup_(json) json_object *o = json_object_new_object();
    struct parameters others = {0};
    struct command again = {0};
    const char *text;

    for (size_t i = 0; i < p->n; i++)
        must(json_add_string(o, p->items[i].name, p->items[i].value) == 0);
    text = json_object_to_json_string(o);
    must(parameters_add_json(&others, text, strlen(text), NULL) == 0);
    must(command_parse(&others, &again, NULL) >= 0);
    must(text_equal(c->fingerprint, again.fingerprint));
    must(c->force_stop == again.force_stop && c->confirm_stop == again.confirm_stop);
    command_clear(&again);
    parameters_clear(&others);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = fuzz_text(data, size);
    _cleanup_(error_free) struct error *error = NULL;
    struct parameters p = {0};
    struct command c = {0};
    int r = parameters_add_json(&p, text, size, &error);

    must((r < 0) == (error != NULL));
    if (r == 0) {
        must(fuzz_says_nothing_twice(text, size));
        r = command_parse(&p, &c, &error);
        must((r < 0) == (error != NULL));
        if (r >= 0) {
            check(&c);
            check_again(&p, &c);
        }
    }
    must(!error || is_set(error_message(error)));
    command_clear(&c);
    parameters_clear(&p);
    return 0;
}
