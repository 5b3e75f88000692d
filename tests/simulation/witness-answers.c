/* witness-answers.c - what stopd answers, against what it has written and what it has said before
 *
 * Theory of operation. Each question is answered once. An accepted command is in the journal at the
 * moment of its answer, and still is after every restart. A ClientToken is answered with the
 * RequestId of the first command under it that was accepted; where that one's answer is not known
 * (stopd died, or a commit was in doubt), with any that was sent under it.
 */
#include "simulation/census.h"
#include "simulation/life.h"

#include "journal/private.h"

#include <string.h>

bool witness_is_durable(struct life *life, const char *request_id)
{
    char operation[UUID_TEXT_SIZE];

    return sqlite3_get_autocommit(life->journal->database.sqlite) &&
           journal_resolve(life->journal, request_id, operation, NULL) > 0;
}

/* Whoever commanded it may have died with its answer on the way. */
bool witness_is_forced(struct life *life, const struct ask *stop)
{
    char operation[UUID_TEXT_SIZE];

    for (const struct ask *a = life->witness.asks; a; a = a->next)
        if (a->kind == REQUEST_STOP && a->domain == stop->domain && a->force &&
            journal_resolve(life->journal, a->request_id, operation, NULL) > 0 &&
            text_equal(operation, stop->request_id))
            return true;
    return false;
}

/* What a token was answered with, and what with an answer that is not known may have been. */
static void check_token(struct life *life, const struct ask *ask)
{
    bool was_sent = false;

    for (const struct ask *a = life->witness.asks; a; a = a->next) {
        if (a->kind != REQUEST_STOP || a->token != ask->token)
            continue;
        was_sent |= text_equal(a->request_id, ask->answer_id);
        if (a == ask || !a->is_answered || a->code != ERROR_NONE)
            continue;
        if (!text_equal(a->fingerprint, ask->fingerprint))
            rule_broken(life, "3 ClientToken", "token %u is accepted with other parameters",
                        ask->token);
        else if (!text_equal(a->answer_id, ask->answer_id))
            rule_broken(life, "3 ClientToken", "token %u is answered with another RequestId",
                        ask->token);
    }
    census_count("rule", "3 ClientToken");
    if (!was_sent)
        rule_broken(life, "3 ClientToken", "token %u is answered with a RequestId from nowhere",
                    ask->token);
}

/* Other parameters than those of a command under it that was accepted, or may have been. */
static void check_mismatch(struct life *life, const struct ask *ask)
{
    for (const struct ask *a = life->witness.asks; a; a = a->next)
        if (a != ask && a->kind == REQUEST_STOP && a->token == ask->token &&
            (!a->is_answered || a->code == ERROR_NONE || a->code == ERROR_INTERNAL) &&
            !text_equal(a->fingerprint, ask->fingerprint))
            return;
    rule_broken(life, "3 ClientToken", "token %u is new to its caller, and refused as known",
                ask->token);
}

/* A known token is never refused, save where the journal could not be asked. */
static void check_refused_token(struct life *life, const struct ask *ask)
{
    enum error_code expected;

    for (const struct ask *a = life->witness.asks; a; a = a->next) {
        if (a->kind != REQUEST_STOP || a->token != ask->token || !a->is_answered ||
            a->code != ERROR_NONE)
            continue;
        expected = text_equal(a->fingerprint, ask->fingerprint) ? ERROR_NONE : ERROR_TOKEN_MISMATCH;
        if (ask->code != expected && ask->code != ERROR_UNAVAILABLE && ask->code != ERROR_INTERNAL)
            rule_broken(life, "3 ClientToken", "token %u is known, and refused as %s", ask->token,
                        error_public_code(ask->code));
    }
}

void witness_accepted_late(struct life *life, struct ask *ask)
{
    if (cast_is_cleared(ask->domain->definition))
        ask->run = witness_domain(life, ask->domain)->known_run;
}

/* Accepted, and no stop of its own: it has to go over a soft one by force. */
static void check_force(struct life *life, const struct ask *ask, const struct ask *running)
{
    census_count("rule", "3 force");
    if (ask->is_dry)
        rule_broken(life, "3 DryRun", "%.8s was to change nothing, and is accepted",
                    ask->request_id);
    if (!ask->is_operation && !ask->force)
        rule_broken(life, "3 force", "%.8s is accepted, and another stop of %s goes on",
                    ask->request_id, domain_word(ask->domain));
    if (!ask->is_operation && running && (running->force || running->is_escalated))
        rule_broken(life, "3 force", "%.8s goes over %.8s, which is forced already",
                    ask->request_id, running->request_id);
    if (!ask->is_operation)
        witness_check_went_over(life, ask);
}

static void see_stop_answered(struct life *life, struct ask *ask)
{
    struct ask *running = witness_operation(life, ask->domain);

    witness_check_answer(life, ask);
    if (ask->code != ERROR_NONE) {
        ask->is_void |= ask->code != ERROR_INTERNAL; /* then it may be in the journal */
        if (ask->token && !life->temper.is_forgetful)
            check_refused_token(life, ask);
        if (ask->code == ERROR_TOKEN_MISMATCH)
            check_mismatch(life, ask);
        return;
    }
    if (!ask->is_operation)
        witness_accepted_late(life, ask);
    /* What an old token was first answered with may have been forgotten before the token. */
    if (!witness_is_durable(life, ask->answer_id) &&
        !(life->temper.is_forgetful && !text_equal(ask->answer_id, ask->request_id)))
        rule_broken(life, "3 durable", "%.8s is answered OK and is not in the journal",
                    ask->answer_id);
    if (ask->token && !life->temper.is_forgetful)
        check_token(life, ask);
    if (text_equal(ask->answer_id, ask->request_id))
        check_force(life, ask, running);
    if (!text_equal(ask->answer_id, ask->request_id))
        ask->is_void = true; /* the first one's consent stands, this one brings no other */
    else if (ask->force && !ask->is_operation && running) {
        running->is_escalated = true;
        running->is_past_locks |= ask->overrides_lock;
    }
}

static void check_instances(struct life *life, json_object *body)
{
    json_object *array = NULL, *state, *certain, *uuid;

    if (!json_object_object_get_ex(body, "instances", &array))
        return;
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        static const char *const words[] = {NULL, "Running", "Stopping", "Stopped"};
        json_object *item = json_object_array_get_idx(array, i);
        const struct simulated_domain *d;
        const struct seen_domain *seen;
        uuid_t id;

        if (!json_object_object_get_ex(item, "uuid", &uuid) ||
            uuid_parse(json_object_get_string(uuid), id) < 0 ||
            !json_object_object_get_ex(item, "state", &state) ||
            !json_object_object_get_ex(item, "certain", &certain)) {
            rule_broken(life, "5 instances", "an instance is not whole");
            return;
        }
        d = simulated_find(life->world, id);
        seen = witness_domain(life, d);
        if (!engine_is_attached(life->engine) && json_object_get_boolean(certain))
            rule_broken(life, "4 certain", "%s is certain while nobody can be asked",
                        domain_word(d));
        if (!life->temper.has_identity_changes && !seen->chain_is_open &&
            seen->chain != CHAIN_NEW &&
            !text_equal(json_object_get_string(state), words[seen->chain]))
            rule_broken(life, "4 state", "%s is shown as %s and was reported as %s", domain_word(d),
                        json_object_get_string(state), words[seen->chain]);
    }
}

/* Who is refused for another operation is told of one that there is; that one is over, when it is.
 */
static void check_refused_for(struct life *life, const struct ask *ask, const char *message)
{
    static const char named[] = "(RequestId ";
    const char *at = message ? strstr(message, named) : NULL;
    char request_id[UUID_TEXT_SIZE];

    if (at && strlen(at + strlen(named)) >= UUID_TEXT_SIZE) {
        memcpy(request_id, at + strlen(named), UUID_TEXT_SIZE - 1);
        request_id[UUID_TEXT_SIZE - 1] = '\0';
        census_count("rule", "3 refused for");
        if (!witness_is_durable(life, request_id))
            rule_broken(life, "3 refused for", "%.8s is refused for %.8s, which is not there",
                        ask->request_id, request_id);
    }
    if (!ask->about || !text_equal(message, "The operation is finished."))
        return;
    census_count("rule", "3 refused for");
    if (ask_is_under_way(ask->about))
        rule_broken(life, "3 refused for", "%.8s is told that %.8s is finished, which goes on",
                    ask->request_id, ask->about->request_id);
}

static void see_cancel_answered(struct life *life, struct ask *ask)
{
    struct ask *a = witness_operation(life, ask->domain);

    if (ask->code == ERROR_NONE && a)
        a->is_cancelled = true;
}

static void check_waited(struct life *life, const struct ask *ask)
{
    bool is_over = life->now >= ask->deadline || life->is_ending || !life->engine;

    if (ask->code != ERROR_NONE || is_over)
        return;
    if (ask->kind == REQUEST_WAIT_EVENTS && life->witness.sequence <= ask->after)
        rule_broken(life, "5 wait", "an answer for events comes without any");
    if (ask->kind == REQUEST_WAIT_OPERATION && ask_is_under_way(ask->about))
        rule_broken(life, "5 wait", "the end of %.8s is answered before it",
                    ask->about->request_id);
}

void witness_answered(struct ask *ask, const struct answer *a)
{
    struct life *life = ask->life;

    if (ask->is_answered)
        rule_broken(life, "5 answers", "%.8s is answered twice", ask->request_id);
    ask->is_answered = true;
    ask->code = a->code;
    census_count("answer", a->code ? error_name(a->code) : "OK");
    memcpy(ask->answer_id, a->request_id, sizeof(ask->answer_id));
    if (ask->code == ERROR_INSTANCE_STATUS)
        check_refused_for(life, ask, a->message);
    switch (ask->kind) {
    case REQUEST_STOP:
        see_stop_answered(life, ask);
        break;
    case REQUEST_CANCEL:
        see_cancel_answered(life, ask);
        break;
    case REQUEST_CLEAR:
        census_count("rule", "4.7 confirm");
        ask->run = witness_domain(life, ask->domain)->known_run;
        if (ask->code == ERROR_NONE && !ask->is_confirmed)
            rule_broken(life, "4.7 confirm", "the clear %.8s is accepted unconfirmed",
                        ask->answer_id);
        if (ask->code == ERROR_NONE && !witness_is_durable(life, ask->answer_id))
            rule_broken(life, "3 durable",
                        "the clear %.8s is answered OK and is not in the journal", ask->answer_id);
        break;
    case REQUEST_RETRY:
        witness_retry_answered(life, ask);
        break;
    case REQUEST_REWIND_SINK:
    case REQUEST_REPLAY_LETTERS:
    case REQUEST_DROP_LETTERS:
        witness_sink_answered(life, ask);
        break;
    case REQUEST_INSTANCES:
        check_instances(life, a->body);
        break;
    case REQUEST_INSTANCE:
        if (ask->code == ERROR_INSTANCE_NOT_FOUND && !engine_is_attached(life->engine))
            rule_broken(life, "4 certain", "%s is said not to be there while nobody can be asked",
                        domain_word(ask->domain));
        break;
    default:
        check_waited(life, ask);
        break;
    }
}

void witness_forsake(struct life *life)
{
    for (struct ask *a = life->witness.asks; a; a = a->next) {
        a->is_forsaken |= !a->is_answered;
        a->may_be_taken |= a->is_just_taken;
    }
    witness_keep_taken(life, false);
}

void witness_restarted(struct life *life)
{
    for (struct ask *a = life->witness.asks; a; a = a->next) {
        bool is_there = a->kind == REQUEST_STOP && witness_is_durable(life, a->request_id);

        a->is_void |= a->kind != REQUEST_STOP; /* what it wanted is in the journal, or forgotten */
        if (a->kind != REQUEST_STOP)
            continue;
        census_count("rule", "4.5 durable");
        if (a->is_answered && a->code == ERROR_NONE && !witness_is_durable(life, a->answer_id) &&
            !life->temper.is_forgetful)
            rule_broken(life, "4.5 durable", "%.8s was accepted and is forgotten after a restart",
                        a->answer_id);
        if ((a->is_forsaken || a->code == ERROR_INTERNAL) && !is_there)
            a->is_void = true; /* it never was */
    }
    witness_forget_lost(life);
    witness_forget_backoff(life);
    witness_check_reported(life);
}
