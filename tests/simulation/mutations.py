"""Is the simulator any good? Each mutation breaks one rule on purpose, and it has to notice.

Theory of operation. A mutation is a file, a text that stands in it exactly once, and what it is
replaced with. The core, the engine and the simulator are compiled once, plainly; for each mutation
only the one file is compiled again and the program is linked anew. Then it lives lives until a rule
breaks, and that has to be the one that is named. A mutation that survives them all is a rule that
nobody guards, and so is a rule that no mutation breaks; a text that is not found is a list that
nobody keeps. All three fail. So does a bad life that cannot be told more briefly and lived
again by the line that is printed with it.

usage: mutations.py SOURCE [--only WORD] [--lives N]
"""

import argparse
import concurrent.futures
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

JOBS = 2
LIVES = 200000

# What it is, the file, the text, its replacement, and which rule has to be seen broken, or which of some.
MUTATIONS = [
    ("the power is cut without consent when the grace is over",
     "executor/core/stop-guards.c",
     "           (op->on_timeout == ON_TIMEOUT_FORCE && op->grace_left == 0 && op->presses > 0);",
     "           (op->grace_left == 0 && op->presses > 0);", "4.1 consent or 4.6 cause"),
    ("a cut without consent is tried and tried",
     "executor/core/stop-guards.c",
     "    return t->op->on_timeout == ON_TIMEOUT_FORCE;",
     "    return true;", "loop"),
    ("the grace runs on while the hypervisor is away",
     "executor/core/stop-actions.c",
     "    op->grace_left = operation_grace_left(op, t->now.monotonic);\n"
     "    op->grace_since = USEC_NEVER;\n    op->acting = 0;",
     "    op->acting = 0;", "4.1 grace or 4.1 consent"),
    ("the grace does not go on when the hypervisor is back",
     "executor/core/stop-actions.c",
     "    if (op->presses > 0 && op->grace_since == USEC_NEVER)\n"
     "        op->grace_since = now.monotonic;",
     "    (void)op, (void)now;", "4.5 end"),
    ("the grace is over a second early",
     "executor/core/stop.c",
     "operation_grace_left(op, monotonic) == 0)",
     "operation_grace_left(op, monotonic) <= USEC_PER_SEC)", "4.1 consent or 4.1 grace or 4.5 reason"),
    ("a process that lingers counts as stopped",
     "executor/core/stop.c",
     "IN_SEEN_LINGERING, NULL,                block,              STAGE_BLOCKED)",
     "IN_SEEN_LINGERING, NULL,                report_stopped,     STAGE_DONE)", "4.7 proof"),
    ("a process that cannot be judged counts as ended",
     "executor/core/weigh.c",
     "s->remembered != PROCESS_ENDED))",
     "s->remembered == PROCESS_ALIVE))", "4.7 proof"),
    ("a hypervisor that cannot tell counts as off",
     "executor/core/weigh.c",
     "IN_SEEN_ANOTHER : IN_SEEN_UNKNOWN;",
     "IN_SEEN_ANOTHER : IN_SEEN_OFF;", "4.7 proof or 4.6 cause"),
    ("an agent that nobody has asked yet counts as asked",
     "executor/core/stop-guards.c",
     "t->in->is_stuck && t->in->is_asked;",
     "t->in->is_stuck;", "4.1 consent"),
    ("a saved domain counts as stopped",
     "executor/core/weigh.c",
     "        return IN_SEEN_SAVED;",
     "        return IN_SEEN_OFF;", "4.2 seen off or 4.6 saved or 4.6 cause"),
    ("that a guest was saved is forgotten while its process is still there",
     "executor/core/stop.c",
     "    bool learnt = learn_end(op, in);",
     "    bool learnt = false;", "4.6 saved"),
    ("that a guest was saved is forgotten by a restart while its process is still there",
     "executor/core/operation-json.c",
     '    json_write_string(w, "end", end_cause_to_string(op->end));',
     '    json_write_string(w, "end", end_cause_to_string(END_UNKNOWN));', "4.6 saved"),
    ("a guest that stands still as it leaves counts as one that comes",
     "executor/engine/inventory.c",
     "    return d->way == WAY_IN && is_unreported_in_migration(d);",
     "    return d->way != WAY_UNTOLD && is_unreported_in_migration(d);", "4.7 once or 4.7 missed or 4.7 proof"),
    ("a guest that comes is started before it is here",
     "executor/engine/inventory.c",
     "    return d->way == WAY_IN && is_unreported_in_migration(d);",
     "    return false;", "4.7 arrival"),
    ("a soft stop of what nobody can tell is accepted",
     "executor/core/checks.c",
     "        if (c->force_stop && x->is_on)",
     "        if (x->is_on)", "4 untold"),
    ("a run counts as alive that is not proved to be",
     "executor/engine/engine-command.c",
     "           e->host.is_alive(e->host.userdata, &last->incarnation);",
     "           true;", "4 untold"),
    ("the first act that follows no look heeds no lock",
     "executor/engine/engine-hypervisor.c",
     "        c->heeds_lock = d->op->is_blind && operation_heeds_lock(d->op, effect_of(c->kind)) &&",
     "        c->heeds_lock = false &&", "3 blind"),
    ("a domain that migrated away counts as stopped",
     "executor/core/weigh.c",
     "        return IN_SEEN_MIGRATED;",
     "        return IN_SEEN_OFF;", "4.6 saved or 4.6 cause"),
    ("another run of the domain is taken for the one that is meant",
     "executor/core/weigh.c",
     "        return IN_SEEN_ANOTHER;",
     "        return IN_SEEN_RUNNING;", "4.5 end"),
    ("a run that came and went unseen is taken for the one that is meant",
     "executor/core/weigh.c",
     "    if (s->has_run_since)",
     "    if (false)", "4.6 kept or 4.6 incarnation"),
    ("whichever run is there is acted upon",
     "executor/engine/engine-hypervisor.c",
     "    c->meant = d->op ? d->op->incarnation : d->reported.incarnation;",
     "    c->meant = d->incarnation;", "4.5 end"),
    ("a lock that was set since does not hold the first act up",
     "executor/core/stop-guards.c",
     "    return operation_heeds_lock(t->op, t->op->acting) && t->in->definition &&",
     "    return false && t->in->definition &&", "3 lock"),
    ("a lock holds up a stop that the guest has been asked for",
     "executor/core/stop-guards.c",
     "    return op->presses == 0 && op->cuts == (act",
     "    return op->cuts == (act", "3 locked since"),
    ("a lock that was overridden ends the stop all the same",
     "executor/core/checks.c",
     "    op->lock_overridden = c->override_lock;",
     "    op->lock_overridden = false;", "3 locked since"),
    ("a cut that waits behind the look that shows a lock goes out",
     "executor/core/stop-guards.c",
     "op->cuts == (act == EFFECT_CUT ? 1 : 0) &&",
     "op->cuts == 0 &&", "3 lock or 3 blind"),
    ("a force command's word that a lock is overridden is lost",
     "executor/engine/engine-command.c",
     "                             .overrides_lock = c->override_lock};",
     "                             };", "3 locked since"),
    ("a pid that is used again is the same process",
     "executor/core/sighting.c",
     "a->start_time == b->start_time &&",
     "", "4.7 missed or 4.6 incarnation"),
    ("lifecycle actions are put back as the interlock left them",
     "executor/core/stop-ends.c",
     "    want(t, EFFECT_RESTORE);",
     "    t->op->former = (struct lifecycle){LIFECYCLE_DESTROY, LIFECYCLE_DESTROY};\n"
     "    want(t, EFFECT_RESTORE);", "4.6 interlock"),
    ("an interlock that comes after its stop stays",
     "executor/engine/engine-interlock.c",
     "    d->wanted |= EFFECT_RESTORE;",
     "    (void)s;", "4.6 interlock"),
    ("what a late button may do to the guest is forgotten with its stop",
     "executor/engine/engine-interlock.c",
     "    if (interlock_is_owed(&owed) &&\n",
     "    if (false &&\n", "4.6 interlock"),
    ("a button counts as back when it is written off",
     "executor/engine/engine-interlock.c",
     "c->interlock && !c->stuck &&\n           (c->is_unmade || c->press.is_over || error_code_of(c->error) != ERROR_UNKNOWN);",
     "true;", "4.6 interlock"),
    ("the interlock is not wanted",
     "executor/engine/engine-hypervisor.c",
     "        c->interlock = d->op->interlock_wanted;",
     "        c->interlock = false;", "4.6 reboot"),
    ("a cancelled stop goes on",
     "executor/core/stop.c",
     "    RULE(STAGE_SHUTTING_DOWN, IN_CANCEL,         NULL,                cancel,             "
     "STAGE_RELENTING),",
     "    RULE(STAGE_SHUTTING_DOWN, IN_CANCEL,         NULL,                look,               "
     "STAY),", "4.5 cancel or 4.1 consent"),
    ("answers go out before the commit",
     "executor/engine/engine-requests.c",
     "        engine_stage_reply(e, r, take(a), true);",
     "        engine_reply(r, take(a));", "3 durable"),
    ("nothing is committed",
     "executor/engine/engine-commit.c",
     "    r = journal_commit(e->journal, err);",
     "    journal_rollback(e->journal);", "4.4 outbox"),
    ("a force command's own RequestId is not written",
     "executor/engine/engine-command.c",
     "    int r = stage_alias(e, c, engine_operation_now(d), err);",
     "    int r = 0;", "3 durable"),
    ("what was reported is not written beside its event",
     "executor/engine/engine-commit.c",
     "    r = journal_put_reported(e->journal, &reported, err);",
     "    r = 0;", "4.7 missed or 4.4 one transaction"),
    ("a turn that failed uses up its sequences",
     "executor/engine/engine-act.c",
     "    e->staged_sequence = e->last_sequence;\n    e->counters.commit_failures++;",
     "    e->counters.commit_failures++;", "4.4 outbox"),
    ("the first half of an unseen restart is not reported",
     "executor/engine/engine-unasked.c",
     '    } else if (!is_same) {\n        engine_report_unasked(e, d, STATE_RUNNING, STATE_STOPPED, "ended unseen", NULL);\n',
     "    } else if (!is_same) {\n", "4.4 chain"),
    ("a hint that comes while the hypervisor is being attached is dropped",
     "executor/engine/engine-hypervisor.c",
     "    if (e->attachment == DETACHED)\n        return; /* the full read",
     "    if (e->attachment != ATTACHED)\n        return; /* the full read", "4.7 missed"),
    ("tokens are not remembered",
     "executor/engine/engine-command.c",
     "    if (!c->client_token)\n        return 0;\n    b = calloc(1, sizeof(*b));",
     "    if (e)\n        return 0;\n    b = calloc(1, sizeof(*b));", "3 ClientToken"),
    ("another call goes out while one is",
     "executor/engine/engine-hypervisor.c",
     "(EFFECT_CLEAR | EFFECT_END_CLEAR)) || d->call_out ||",
     "(EFFECT_CLEAR | EFFECT_END_CLEAR)) ||", "3 one call"),
    ("calls go out while the hypervisor is away",
     "executor/engine/engine-hypervisor.c",
     " || d->call_out ||\n        e->attachment != ATTACHED)",
     " || d->call_out)", "3 attachment"),
    ("a call that is stuck is waited for",
     "executor/engine/engine-hypervisor.c",
     "    d->call_out = 0;\n    engine_stage_domain(e, d);\n    if (c->stuck) {",
     "    if (!c->stuck)\n        d->call_out = 0;\n    engine_stage_domain(e, d);\n"
     "    if (c->stuck) {", "4.5 end"),
    ("every stop has its turn at once",
     "executor/engine/engine-queue.c",
     "    return bound == 0 || e->n_shutting_down + e->n_admitted < bound;",
     "    return true;", "2 stop.parallel"),
    ("a place goes to whoever came last",
     "executor/engine/engine-queue.c",
     "waits ? op->place : USEC_NEVER",
     "waits ? USEC_NEVER - 1 - op->place : USEC_NEVER", "2 first come"),
    ("a guest that was reset after its crash is ended all the same",
     "executor/engine/engine-hypervisor.c",
     "        c->only_crashed = !operation_has_consent(d->op);",
     "        c->only_crashed = false;", "4.1 consent"),
    ("nothing is concluded from a glance that shows another state",
     "executor/engine/engine-glance.c",
     "    if (s->state != DOMAIN_UNKNOWN &&",
     "    if (false &&", "4.7 missed"),
    ("nothing is concluded from a glance that misses a domain",
     "executor/engine/engine-glance.c",
     "if (!d->is_listed && !d->op)",
     "if (false)", "4.7 missed"),
    ("a hypervisor may refuse the button for ever",
     "executor/core/stop-actions.c",
     "    if (never_pressed(t) && t->op->grace_since == USEC_NEVER)\n"
     "        t->op->grace_since = t->now.monotonic;",
     "    (void)t;", "4.5 end"),
    ("a button that is taken at last leaves the guest the rest of the patience",
     "executor/core/stop-actions.c",
     "op->presses == 0 ? op->grace : operation_grace_left(op, t->now.monotonic);",
     "operation_grace_left(op, t->now.monotonic);", "4.1 grace or 4.1 consent"),
    ("what could not be read in the first picture is reported as started later",
     "executor/engine/engine-unasked.c",
     "    if (!e->is_picture_owed)",
     "    if (true)", "4.7 once"),
    ("of the first picture only what could not be read at all is kept",
     "executor/engine/engine-unasked.c",
     "if (d->is_found && !d->reported_changed)",
     "if (d->is_found && !d->reported_changed && d->seen == DOMAIN_UNKNOWN)", "4.7 once"),
    ("an instance is Stopped with its first disk cleared",
     "executor/core/stop-clear.c",
     "    return others_are(t, DISK_CLEARED, DISK_CLEARED);",
     "    return true;", "4.3 cleared"),
    ("a stop that was given up clears all the same",
     "executor/core/stop.c",
     "    RULE(STAGE_RELENTING,     IN_SEEN_OFF,       owes_a_clear,        settle,             "
     "STAGE_DONE),",
     "    RULE(STAGE_RELENTING,     IN_SEEN_OFF,       owes_a_clear,        begin_clear,        "
     "STAGE_CLEARING),", "4.2 consent or 4.2 disks"),
    ("disks are cleared on after their stop has failed",
     "executor/core/stop-ends.c",
     "    if (op->disks.n > 0)\n        want(t, EFFECT_END_CLEAR);",
     "", "4.6 clear"),
    ("a disk is given to two helpers",
     "executor/engine/engine-clear.c",
     " || has_job(e, d, i))",
     ")", "2 one helper"),
    ("more disks are cleared at once than may be",
     "executor/engine/engine-clear.c",
     "if (e->settings.clear_parallel && e->n_clear_jobs >= e->settings.clear_parallel)",
     "if (false)", "2 local_storage.parallel"),
    ("a guest that goes off by itself is not said to keep its disks",
     "executor/engine/engine-events.c",
     "    return !op && to == STATE_STOPPED && i &&",
     "    return op && to == STATE_STOPPED && i &&", "4.7 kept"),
    ("an event is handed over twice in a batch",
     "executor/engine/relay-deliver.c",
     "    move_to(r, events[n - 1].sequence, n);",
     "    move_to(r, events[0].sequence, n);", "4.4 once"),
    ("what a sink took in part counts as taken",
     "executor/engine/relay-deliver.c",
     "        told = kind->took(r, events, delivered);",
     "        told = kind->took(r, events, left);", "4.4 cursor"),
    ("a sink's own last event is not asked for",
     "executor/engine/relay-deliver.c",
     "    if (result > 0 && last > r->position)",
     "    if (false)", "4.4 once"),
    ("a sink that failed is not tried again",
     "executor/engine/relay.c",
     "            pause_after_failure(r);",
     "            wait_for_news(r, UINT64_MAX - 1);", "4.4 delivered"),
    ("the cursor runs ahead of the sink",
     "executor/engine/relay-deliver.c",
     "tell(r, SINK_MOVED, sequence, NULL)",
     "tell(r, SINK_MOVED, sequence + 1, NULL)", "4.4 cursor"),
    ("events leave the journal that a sink still has to get",
     "executor/journal/journal-retain.c",
     "        if (cursor < delivered)",
     "        if (false)", "4.4 order"),
    ("new stops are taken while the journal's disk is full",
     "executor/engine/engine-command.c",
     "    if (e->on_reserve)",
     "    if (false)", "3 reserve"),
    ("finished operations are forgotten at once",
     "executor/engine/engine-clock.c",
     "    usec_t kept = e->settings.retain + e->ahead;",
     "    usec_t kept = USEC_PER_SEC;", "4.5 durable"),
    ("a process of another boot counts as the one that is meant",
     "executor/core/sighting.c",
     "strcmp(a->boot_id, b->boot_id) == 0",
     "a->boot_id[0] != 0", "4.7 missed"),
    ("a refusal is forgotten when the journal fails",
     "executor/engine/engine-act.c",
     "    stand_still(e);\n",
     "    stand_still(e);\n    engine_forget_refusals(e);\n", "4.4 dead letters"),
    ("only the first refusal of a turn is written",
     "executor/engine/engine-sinks.c",
     "each && r == 0; each = each->next)\n        r = write_report",
     "each && r == 0; each = NULL)\n        r = write_report", "4.4 dead letters"),
    ("the cursor is ahead of what the sink has",
     "executor/engine/engine-sinks.c",
     "    c->sequence = sequence;\n",
     "    c->sequence = sequence + 1;\n", "4.4 cursor"),
    ("a clear begins while the hypervisor says that the guest is ending",
     "executor/core/stop.c",
     "    RULE(ANY,                 IN_SEEN_ENDING,    NULL,                look_later,         "
     "STAY),",
     "    RULE(ANY, IN_SEEN_ENDING, owes_a_clear, begin_clear, STAGE_CLEARING),", "4.2 off or 4.2 seen off"),
    ("a clear begins while the process lingers",
     "executor/core/stop.c",
     "    RULE(ANY,                 IN_SEEN_LINGERING, NULL,                block,              "
     "STAGE_BLOCKED),",
     "    RULE(ANY, IN_SEEN_LINGERING, owes_a_clear, begin_clear, STAGE_CLEARING),", "4.2 off or 4.5 open"),
    ("a clear begins on a state that cannot be told",
     "executor/core/stop.c",
     "    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_UNKNOWN,   NULL,                look_unseen,        "
     "STAY),",
     "    RULE(STAGE_SHUTTING_DOWN, IN_SEEN_UNKNOWN, owes_a_clear, begin_clear, "
     "STAGE_CLEARING),", "4.2 off or 4.2 seen off"),
    ("a clear begins after the power cut, without a look",
     "executor/core/stop.c",
     "    RULE(STAGE_FORCING,       IN_SEEN_UNKNOWN,   NULL,                look_unseen,        "
     "STAY),",
     "    RULE(STAGE_FORCING, IN_SEEN_UNKNOWN, owes_a_clear, begin_clear, STAGE_CLEARING),",
     "4.2 off or 4.2 disks or 4.2 seen off"),
    ("a clear begins on a bare event",
     "executor/engine/engine-hypervisor.c",
     "    if (!d)\n        return;\n    engine_want_look(e, d);",
     "    if (!d)\n        return;\n"
     "    if (engine_operation_now(d) && engine_operation_now(d)->disks.n > 0) {\n"
     "        struct sighting off = {.state = DOMAIN_OFF};\n"
     "        struct input in = {.kind = IN_SEEN_OFF, .sighting = &off};\n"
     "        engine_step(e, d, &in);\n    }\n    engine_want_look(e, d);", "4.2 off or 4.2 seen off"),
    ("a clear goes on though the domain was started again",
     "executor/core/stop.c",
     "    RULE(STAGE_CLEARING,      IN_SEEN_LINGERING, NULL,                wait_for_proof,     "
     "STAY),",
     "    RULE(STAGE_CLEARING, IN_SEEN_LINGERING, NULL, wait_for_proof, STAY),\n"
     "    RULE(STAGE_CLEARING, IN_SEEN_ANOTHER, NULL, clear, STAY),", "4.2 off or 4.2 seen off or 4.5 end"),
    ("a clear goes on by an operator's word, and what was seen before it",
     "executor/core/stop-clear.c",
     "    hold_until_seen(t);\n    look(t);",
     "    look(t);\n    clear(t);", "4.2 seen off"),
    ("a clear goes on after an outage by what was seen before it",
     "executor/core/stop-actions.c",
     "        hold_until_seen(t);\n    look(t);",
     "        want(t, EFFECT_CLEAR);\n    look(t);", "4.2 seen off"),
    ("a clear goes on while it cannot be told whether the domain was started",
     "executor/core/stop-clear.c",
     "    t->op->is_held = true;\n    t->op->next_clear = USEC_NEVER;\n    if (t->in->kind",
     "    if (t->in->kind", "4.2 seen off"),
    ("the disks are cleared that were there at acceptance, whatever the guest had in the end",
     "executor/core/stop-clear.c",
     "    return owes_a_clear(t) && t->op->disks_changed;",
     "    return false;", "4.2 disks"),
    ("kept disks are cleared unconfirmed",
     "executor/engine/engine-command.c",
     "    if (!r->confirm)",
     "    if (false)", "4.7 confirm"),
    ("the kept disks of a guest that runs are cleared",
     "executor/core/checks.c",
     "    if (x->seen != DOMAIN_OFF || x->is_saved)",
     "    if (x->is_saved)", "4.2 off or 4.2 seen off"),
    ("a clear that fails is not reported",
     "executor/core/stop-clear.c",
     "    t->out->disk_failed = !t->in->news->is_nobodys;",
     "", "4.3 reported"),
    ("a clear that was given up does not say what it waits for",
     "executor/core/stop-clear.c",
     "        say(t->op, held ? text : NULL);",
     "        say(t->op, NULL);", "4.5 open"),
    ("that it cannot be seen is said on when that is not what it waits for any more",
     "executor/core/stop-actions.c",
     "    set_text(&op->detail, what);\n    op->is_unseen = false;",
     "    set_text(&op->detail, what);", "4.5 open"),
    ("the metadata's time-out action goes before the command's",
     "executor/core/checks.c",
     "    op->on_timeout = c->on_timeout     ? c->on_timeout\n"
     "                     : own->on_timeout ? own->on_timeout",
     "    op->on_timeout = own->on_timeout ? own->on_timeout\n"
     "                     : c->on_timeout ? c->on_timeout", "4.1 consent"),
    ("the configuration's time-out action goes before the metadata's",
     "executor/core/checks.c",
     "                     : own->on_timeout ? own->on_timeout\n"
     "                                       : house->on_timeout;",
     "                     : house->on_timeout;", "4.1 consent"),
    ("a crash is told as the guest's own shutdown",
     "executor/core/stop-actions.c",
     '        return op->cuts > 0 ? "power cut" : "guest crashed";',
     '        return op->cuts > 0 ? "power cut" : "guest shut down";', "4.6 cause"),
    ("a token answers other parameters too",
     "executor/engine/engine-command.c",
     "    if (!text_equal(known, c->fingerprint))",
     "    if (false)", "3 ClientToken"),
    ("a caller's token is everybody's",
     "executor/journal/journal-load.c",
     " WHERE principal = ?1 AND token = ?2",
     " WHERE ?1 = ?1 AND token = ?2", "3 ClientToken"),
    ("a soft stop is taken over a running one",
     "executor/core/checks.c",
     "    if (c->force_stop && can_go_over_to_force(op))",
     "    if (can_go_over_to_force(op))", "3 force"),
    ("a dry run stops",
     "executor/engine/engine-command.c",
     "    if (c->dry_run)\n",
     "    if (false)\n", "4.4 outbox or 3 DryRun"),
    ("a locked instance is stopped",
     "executor/core/checks.c",
     '    if (instance_is_locked_for(x->instance, "security") && !c->override_lock)',
     "    if (false)", "3 table"),
    ("an instance in arrears is stopped",
     "executor/core/checks.c",
     "    if (x->instance->account != ACCOUNT_OK && !c->override_arrears)",
     "    if (false)", "3 table"),
    ("whoever overrides a lock overrides arrears as well",
     "executor/core/checks.c",
     "ACCOUNT_OK && !c->override_arrears)",
     "ACCOUNT_OK && !c->override_arrears && !c->override_lock)", "3 table"),
    ("that it is prepaid is said before that its network is a classic one",
     "executor/core/checks.c",
     "    if (x->instance->network == NETWORK_CLASSIC)\n        return ERROR_CLASSIC_NETWORK;\n"
     "    if (x->instance->charge == CHARGE_PREPAID)\n        return ERROR_PREPAID;",
     "    if (x->instance->charge == CHARGE_PREPAID)\n        return ERROR_PREPAID;\n"
     "    if (x->instance->network == NETWORK_CLASSIC)\n        return ERROR_CLASSIC_NETWORK;",
     "3 table"),
    ("local disks of a family that is not cleared do not count",
     "executor/core/checks.c",
     "    return has_local_storage(x) || x->instance->n_local_disks > 0;",
     "    return has_local_storage(x);", "3 table"),
    ("a spot instance is stopped without charge",
     "executor/core/checks.c",
     "    if (x->instance->spot)\n        return ERROR_SPOT;",
     "", "3 mode or 3 table"),
    ("a stop that names no mode is refused for the configuration's",
     "executor/core/checks.c",
     "    if (c->stopped_mode == STOPPED_MODE_STOP_CHARGING)\n        why",
     "    if (x->policy->stopped_mode == STOPPED_MODE_STOP_CHARGING)\n        why", "3 table"),
    ("the configuration's mode goes before the metadata's",
     "executor/core/checks.c",
     "    if (mode == STOPPED_MODE_UNSET && x->instance->economical != TRISTATE_UNSET)",
     "    if (false)", "3 mode"),
    ("an instance that cannot be StopCharging becomes it by default",
     "executor/core/checks.c",
     "    if (mode == STOPPED_MODE_STOP_CHARGING && why_not_stop_charging(x) != ERROR_NONE)",
     "    if (false)", "3 mode"),
    ("the event names another mode than the operation",
     "executor/engine/engine-events.c",
     'op ? stopped_mode_to_string(op->stopped_mode) : NULL',
     'op ? stopped_mode_to_string(STOPPED_MODE_KEEP_CHARGING) : NULL', "3 mode"),
    ("a stop that failed as saved has resources released",
     "executor/engine/engine-events.c",
     "        op && op->outcome == OUTCOME_STOPPED &&",
     "        op && to == STATE_STOPPED &&", "3 released"),
    ("resources are released for every stop",
     "executor/engine/engine-events.c",
     "OUTCOME_STOPPED && op->stopped_mode == STOPPED_MODE_STOP_CHARGING;",
     "OUTCOME_STOPPED;", "3 released"),
    ("what a domain had is forgotten with stopd",
     "executor/engine/inventory-facts.c",
     '        json_write_string(&w, "publicIp", i->public_ip);',
     '        json_write_string(&w, "publicIp", NULL);', "6 resources"),
    ("a request to hibernate is taken for a stop",
     "executor/core/checks.c",
     "    return c->hibernate ? error_set(err, ERROR_HIBERNATION, NULL) : 0;",
     "    return 0;", "3 table"),
    ("local disks are cleared unconfirmed",
     "executor/core/checks.c",
     "    return has_local_storage(x) && !c->confirm_stop ?",
     "    return has_local_storage(x) && false ?", "3 table"),
    ("a dry run checks nothing",
     "executor/engine/engine-command.c",
     "    r = command_check(c, &x, &escalates, err);",
     "    r = c->dry_run ? 0 : command_check(c, &x, &escalates, err);", "3 table"),
    ("a dry run forces what is under way",
     "executor/engine/engine-command.c",
     "    if (c->dry_run)\n",
     "    if (c->dry_run && !escalates)\n", "3 DryRun"),
    ("what a definition says once it says for ever",
     "executor/engine/engine-hypervisor.c",
     "    if (s->instance && inventory_define(",
     "    if (s->instance && !d->instance && inventory_define(", "3 table or 4.2 disks"),
    ("anybody overrides",
     "executor/core/command.c",
     "    if (!c->principal.is_local_root)",
     "    if (false)", "3 override"),
    ("that a lock was overridden is not in the journal",
     "executor/core/command.c",
     "    return clauses[c->override_lock][c->override_arrears];",
     "    return clauses[0][c->override_arrears];", "3 override told"),
    ("what a force command overrode is not in the journal",
     "executor/engine/engine-command.c",
     ".overriding = command_overriding(c),",
     '.overriding = "",', "3 override told"),
    ("how a guest ended is not told once its disks are cleared",
     "executor/core/stop-clear.c",
     "    const char *ended = t->op->ended;",
     "    const char *ended = NULL;", "4.6 cause"),
    ("how a guest ended is forgotten by a restart in the middle of the clear",
     "executor/core/operation-json.c",
     '    json_write_string(w, "ended", op->ended);',
     '    json_write_string(w, "ended", NULL);', "4.6 cause"),
    ("a guest that panicked is told as one whose power was cut",
     "executor/core/stop-actions.c",
     '        set_text(&t->op->ended, "guest crashed");',
     "        set_text(&t->op->ended, NULL);", "4.6 cause"),
    ("a crash that was undone is told as the end",
     "executor/core/stop.c",
     "        !(stands || (in->has_stood && in->kind != IN_SEEN_CRASHED)))",
     "        !(false && stands))", "4.6 cause"),
    ("kept disks are cleared on behind a start that nobody saw but its end",
     "executor/core/stop-clear.c",
     "    return !t->op->has_processes ||",
     "    return t->op->action == ACTION_STOP &&", "4.2 off or 4.7 kept"),
    ("a state is told as certain while the hypervisor is away",
     "executor/engine/engine-attach.c",
     "    inventory_foreach(&e->inventory, d)\n    {\n        d->certain = false;",
     "    inventory_foreach(&e->inventory, d)\n    {", "4 certain"),
    ("whoever is not known yet is said not to be there",
     "executor/engine/engine-requests.c",
     "    if (e->attachment != ATTACHED)\n        return error_set(err, ERROR_UNAVAILABLE,\n"
     '                         "libvirt is not at hand (%s), and',
     "    if (false)\n        return error_set(err, ERROR_UNAVAILABLE,\n"
     '                         "libvirt is not at hand (%s), and', "4 certain"),
    ("that a cursor was put back is forgotten by a restart",
     "executor/engine/relay-deliver.c",
     "        r->rewound = rewound;",
     "        r->rewound = false;", "4.4 order"),
    ("what a relay told before its cursor was put back puts it forward again",
     "executor/engine/engine-sinks.c",
     "(r->news == SINK_MOVED || r->news == SINK_SET_ASIDE) && r->rewinds < c->rewinds;",
     "false;", "4.4 order"),
    ("two wishes of one turn: the second puts the cursor forward past the first",
     "executor/engine/engine-sinks.c",
     "            position = r->after;",
     "            position = c->sequence;", "4.4 replay"),
    ("what is sent again in its turn stays a dead letter",
     "executor/journal/journal-letters.c",
     '" sequence IN (SELECT sequence FROM event)",',
     '" sequence IN (SELECT 0)",', "4.4 dropped"),
    ("a dead letter that was delivered is kept",
     "executor/engine/engine-sinks.c",
     "    return journal_deliver_dead_letter(e->journal, r->sink, r->sequence, err);",
     "    return 0;", "4.4 replay or 4.4 dead letters"),
    ("dead letters are dropped in word only",
     "executor/engine/engine-sinks.c",
     "                 : journal_drop_dead_letters(e->journal, r->sink, r->after, LETTERS_MOST, &n, "
     "err);",
     "                 : 0;", "4.4 dropped"),
    ("a dropped letter comes back by a late refusal",
     "executor/engine/engine-sinks.c",
     "        return journal_refuse_dead_letter(e->journal, r->sink, r->sequence, reason, "
     "e->now.realtime,\n                                          err);",
     "        return journal_put_dead_letter(e->journal, r->sink, r->sequence, reason, "
     "e->now.realtime, err);", "4.4 replay or 4.4 dropped"),
    ("dead letters that are wanted again are not read",
     "executor/engine/relay-deliver.c",
     "    int result = r->marks > r->marks_done ? deliver_letters(r, err) : 0;",
     "    int result = 0;", "4.4 replay"),
    ("a reading that fails is taken for the end of the outbox",
     "executor/engine/relay-deliver.c",
     "&e) < 0 && r->batch.n == 0)\n        return error_move(err, &e);",
     "&e) < 0 && r->batch.n == 0)\n        return 0;", "4.4 delivered"),
    ("a cursor that cannot be read counts as the beginning",
     "executor/engine/relay-deliver.c",
     "&cursor, &rewound, err);",
     "&cursor, &rewound, NULL);\n    if (r->reader && result < 0)\n        result = 0;", "4.4 again"),
    ("what could not be read is passed over",
     "executor/engine/relay-deliver.c",
     "    batch_clear(&r->batch);\n    return result;\n}",
     "    if (result < 0 && r->batch.n == 0)\n        relay_move_to(r, r->position + 1, 0);\n"
     "    batch_clear(&r->batch);\n    return result;\n}", "4.4 order"),
    ("a dry run forces a stop that is under way",
     "executor/engine/engine-command.c",
     "    if (c->dry_run)\n",
     "    if (c->dry_run && !escalates)\n", "3 DryRun"),
    ("of two that claim one id the first is stopped",
     "executor/engine/inventory.c",
     "    if (d && d->next_same_id)\n",
     "    if (false)\n", "3 conflict"),
    ("a force command begins a stop of its own beside the one that is under way",
     "executor/core/checks.c",
     "    *escalates = context->running != NULL;",
     "    *escalates = false;", "3 status"),
    ("what was reported last is not what is shown",
     "executor/engine/inventory.c",
     "        return d->reported.state;",
     "        return STATE_RUNNING;", "4 state"),
    ("a report says something else than its event",
     "executor/journal/journal-write.c",
     "text(instance_state_to_string(r->state)),",
     "text(instance_state_to_string(r->state == STATE_STOPPED ? STATE_RUNNING : r->state)),",
     "4.4 one transaction"),
    ("that a stop has ended is not written beside its event",
     "executor/engine/engine-commit.c",
     "    if (reported.state == STATE_STOPPING &&",
     "    if (reported.state != STATE_RUNNING &&", "4.4 one transaction"),
    ("a stop that fails does not say why",
     "executor/core/stop-ends.c",
     "    t->out->failed = true;",
     "    (void)t;", "4.5 reason"),
    ("a journal with a stop under way is refused",
     "executor/engine/engine-load.c",
     "    e->is_first_picture = false;\n    return 0;",
     "    e->is_first_picture = false;\n    return r->state == STATE_STOPPING ? -EBADMSG : 0;",
     "4.5 recovery"),
    ("a hypervisor that is told which run is meant acts on another",
     "drivers/hypervisor/simulated.c",
     " || !incarnation_equal(&d->incarnation, meant)))",
     "))", "4.6 incarnation"),
    ("who waits while stopd goes down gets no answer",
     "executor/engine/engine-load.c",
     "        engine_answer_overdue(e, true);",
     "        (void)e;", "5 answers"),
    ("an instance is shown without saying how certain that is",
     "executor/engine/inventory.c",
     'json_add_bool(o, "certain", d->certain)',
     'json_add_bool(o, "sure", d->certain)', "5 instances"),
    ("who waits for the end of a stop is answered at once",
     "executor/engine/engine-requests.c",
     "    } else if (found == 0 || r->wait == 0 || e->quiescing) {",
     "    } else if (true) {", "5 wait"),
    ("an event has the sequence of the one before it",
     "executor/engine/engine-events.c",
     "e->staged_sequence + 1);",
     "e->staged_sequence);", "6 events"),
    ("what is told of a stop is told of whoever its domain is by then",
     "executor/engine/engine-events.c",
     "    return op ? op->instance_id : domain_public_id(d);",
     "    return domain_public_id(d);", "4.4 whose"),
    ("a command is refused for a stop before that is in the journal",
     "executor/engine/engine-requests.c",
     "    if (r->rests_on_turn)\n",
     "    if (false)\n", "3 refused for"),
    ("a look is held against what was reported before its turn",
     "executor/engine/engine-unasked.c",
     "    const struct last_report *last = engine_report_now(d);\n\n    if (!last->known ||",
     "    const struct last_report *last = &d->reported;\n\n    if (!last->known ||", "4.4 chain"),
    ("letters are sent again that nobody wants any more",
     "executor/journal/journal-letters.c",
     '"UPDATE dead_letter SET mark = ?3"\n'
     '                                " WHERE sink = ?1 AND sequence = ?2",',
     '"UPDATE dead_letter SET mark = ?3"\n'
     '                                " WHERE sink = ?1 AND sequence >= ?2",', "4.4 letter"),
    ("a wish of a sink that is nowhere is granted",
     "executor/engine/engine-sinks.c",
     "r->sink, NULL))\n        return error_set(err, ERROR_SINK_NOT_FOUND, NULL);",
     "r->sink, NULL))\n        return 0;", "5 sinks"),
    ("a helper is given the first disk, whichever is meant",
     "executor/engine/engine-clear.c",
     ".items = &d->op->disks.items[index],",
     ".items = &d->op->disks.items[0],", "4.2 identity"),
    ("a helper is not told which disk is meant",
     "executor/engine/engine-clear.c",
     "    free(copy.items);\n",
     "    free(copy.items);\n    json_object_put(take(job->disk.identity));\n", "4.2 identity"),
    ("which disk is meant is forgotten by a restart",
     "executor/core/disks.c",
     "    d->tries = (unsigned)tries;",
     "    d->tries = (unsigned)tries;\n    json_object_put(d->identity);\n"
     "    d->identity = json_object_new_object();", "4.2 identity"),
    ("how large the disk was is forgotten by a restart",
     "executor/core/disks.c",
     "    d->tries = (unsigned)tries;",
     "    d->tries = (unsigned)tries;\n    d->bytes = 0;", "4.2 identity"),
    ("a command is accepted with the disks of whatever instance was identified first",
     "executor/engine/engine-clear.c",
     "        if (r->identify_job != report->job) {",
     "        if (false) {", "4.2 identified"),
    ("a helper clears whatever is there",
     "tests/simulation/wiping.c",
     "    if (is_another_disk(life, w->job)) {",
     "    if (false) {", "4.2 device"),
    ("a helper clears whether a run of its domain is there or not",
     "tests/simulation/wiping.c",
     "    if (d->n_processes > 0 || simulated_is_present(d))",
     "    if (false)", "4.2 off"),
    ("a clear can be cancelled, and goes on",
     "executor/core/stop.c",
     "    case STAGE_CLEARING:\n    case STAGE_QUARANTINED:\n",
     "    case STAGE_CLEARING:\n        return 0;\n    case STAGE_QUARANTINED:\n", "4.2 consent"),
    ("a disk is tried once",
     "executor/core/stop-clear.c",
     "#define CLEAR_TRIES_MOST 8",
     "#define CLEAR_TRIES_MOST 1", "4.3 tries"),
    ("a disk that never clears is tried for ever",
     "executor/core/stop-clear.c",
     "#define CLEAR_TRIES_MOST 8",
     "#define CLEAR_TRIES_MOST 1000", "4.3 tries"),
    ("what no try can mend is tried again",
     "executor/core/stop-clear.c",
     "    return t->in->news->is_final ||",
     "    return", "4.3 tries"),
    ("how often a disk was tried is forgotten by a restart",
     "executor/core/disks.c",
     "    d->tries = (unsigned)tries;",
     "    d->tries = 0;", "4.3 tries"),
    ("a quarantined disk is given to a helper when another is",
     "executor/engine/engine-clear.c",
     "disk->state != DISK_CLEARED && disk->state != DISK_QUARANTINED &&",
     "disk->state != DISK_CLEARED &&", "4.3 tries"),
    ("a disk that failed is tried again at once",
     "executor/core/stop-clear.c",
     "    return delay + delay / 2 * t->in->news->spread / 1000;",
     "    return 1;", "4.3 backoff"),
    ("a disk that fails and fails is tried again as soon as at first",
     "executor/core/stop-clear.c",
     "CLEAR_DELAY_LEAST << (failures < 8 ? failures : 8);",
     "CLEAR_DELAY_LEAST << 1;", "4.3 backoff"),
    ("what stands in a helper's way is tried again at once",
     "executor/core/stop-clear.c",
     "    usec_t most = d->waits ? WAIT_DELAY_MOST : CLEAR_DELAY_MOST;",
     "    usec_t most = d->waits ? 1 : CLEAR_DELAY_MOST;", "4.3 backoff"),
    ("when a disk is due is not looked at",
     "executor/engine/engine-clear.c",
     "           disk->next_try <= e->now.monotonic;",
     "           true;", "4.3 backoff"),
    ("a clear that fails is reported twice",
     "executor/engine/engine-stage.c",
     "    if (reaction->disk_failed)\n",
     "    for (int i = 0; reaction->disk_failed && i < 2; i++)\n", "4.3 reported"),
    ("disks that nobody may clear any more are put aside in silence",
     "executor/core/stop-clear.c",
     "    t->out->every_disk_failed = true;",
     "", "4.3 put aside"),
    ("all events have the id of the first",
     "executor/journal/journal-reader.c",
     '"SELECT sequence, id, instance_id, type, body FROM event"',
     '"SELECT sequence, (SELECT min(id) FROM event), instance_id, type, body FROM event"', "4.4 id"),
    ("calls go out before the commit",
     "executor/engine/engine.c",
     "    if (engine_commit(e, &failure) < 0)",
     "    for (struct domain *d = e->staged; d; d = d->next_staged)\n"
     "        engine_dispatch(e, d);\n    if (engine_commit(e, &failure) < 0)", "4.4 journalled"),
    ("the button is pressed once",
     "executor/core/stop-actions.c",
     "    op->next_press = t->now.monotonic + op->resend;",
     "    op->next_press = t->now.monotonic + 1000 * op->grace;", "2 stop.resend"),
    ("a button that was refused is not pressed again",
     "executor/core/stop-actions.c",
     "    op->next_press = t->now.monotonic + op->press_delay;",
     "    op->next_press = t->now.monotonic + 1000 * op->press_delay;", "2 stop.resend"),
    ("an agent that is absent does not give way to ACPI",
     "executor/core/stop-guards.c",
     "    return t->op->method == METHOD_AGENT_ACPI && agent_was_meant(t) &&",
     "    return false &&", "2 stop.method"),
    ("an agent that does nothing is asked again and again",
     "executor/core/stop-actions.c",
     "    op->agent_spent = op->method == METHOD_AGENT_ACPI;",
     "    op->agent_spent = false;", "2 stop.method"),
    ("an agent that fails is asked again and again",
     "executor/core/stop-actions.c",
     "#define AGENT_TRIES_MOST 3",
     "#define AGENT_TRIES_MOST 1000", "2 stop.method"),
    ("an agent may take as long as any call",
     "executor/engine/engine-hypervisor.c",
     "#define AGENT_BUDGET (20 * USEC_PER_SEC)",
     "#define AGENT_BUDGET (100 * USEC_PER_SEC)", "2 stop.method"),
]

GENERAL = ["-std=gnu17", "-O1", "-D_GNU_SOURCE", '-DSTOPD_VERSION="mutant"', "-w"]
# The engine's files that only its real host needs.
OF_THE_DAEMON = ("wiper", "marker", "disk-", "certificate", "loop", "workers")
PACKAGES = ["json-c", "uuid", "libsystemd", "sqlite3"]


def pkg_config(what):
    run = subprocess.run(["pkg-config", what, *PACKAGES], stdout=subprocess.PIPE, check=True)
    return run.stdout.decode().split()


class Build:
    """Objects of the unchanged sources, and programs in which one of them is another."""

    def __init__(self, source, folder):
        self.source = source
        self.folder = folder
        self.compiler = os.environ.get("CC", "cc")
        self.flags = GENERAL + pkg_config("--cflags")
        self.flags += [f"-I{source}/{d}" for d in ("include", "executor", ".", "tests")]
        with open(f"{source}/tests/simulation/wrapped", encoding="utf-8") as names:
            wraps = [f"-Wl,--wrap={name.strip()}" for name in names]
        self.link_flags = wraps + pkg_config("--libs") + ["-lpthread"]
        self.objects = {}
        self.archive = f"{folder}/plain.a"

    def sources(self):
        patterns = ["executor/base/*.c", "executor/core/*.c", "executor/journal/*.c",
                    "executor/engine/*.c", "drivers/hypervisor/simulated*.c",
                    "tests/simulation/*.c"]
        found = [f for p in patterns for f in sorted(glob.glob(p, root_dir=self.source))]
        return [f for f in found if not os.path.basename(f).startswith(OF_THE_DAEMON)]

    def compile(self, path, output):
        folder = os.path.dirname(output)
        os.makedirs(folder, exist_ok=True)
        subprocess.run([self.compiler, *self.flags, "-c", path, "-o", output], check=True)
        return output

    def compile_all(self):
        def one(name):
            output = f"{self.folder}/plain/{name[:-2]}.o"
            return name, self.compile(f"{self.source}/{name}", output)

        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            self.objects = dict(pool.map(one, self.sources()))
        # What the simulator does not need of it is left out, what has been changed comes before it.
        rest = [o for n, o in self.objects.items() if not n.startswith("tests/")]
        subprocess.run(["ar", "rcs", self.archive, *rest], check=True)

    def mutant(self, number, name, text):
        folder = f"{self.folder}/{number}"
        os.makedirs(folder, exist_ok=True)
        path = f"{folder}/{os.path.basename(name)}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        changed = self.compile(path, f"{folder}/changed.o")
        program = f"{folder}/simulate"
        own = [o for n, o in self.objects.items() if n.startswith("tests/") and n != name]
        subprocess.run([self.compiler, "-o", program, changed, *own, self.archive,
                        *self.link_flags], check=True)
        return program


def mutate(source, name, text, replacement):
    with open(f"{source}/{name}", encoding="utf-8") as file:
        whole = file.read()
    if whole.count(text) != 1:
        return None
    return whole.replace(text, replacement)


def simulate(program, *arguments):
    run = subprocess.run([program, *arguments], stdout=subprocess.PIPE, check=False)
    return run.returncode, run.stdout.decode().splitlines()


def judge(build, number, mutation, lives, counts, noticed):
    """What is wrong with the simulator or this list; None: it has noticed."""
    what, name, text, replacement, rule = mutation
    mutant = mutate(build.source, name, text, replacement)
    if mutant is None:
        return f"{what}: its text does not stand once in {name}"
    started = time.monotonic()
    program = build.mutant(number, name, mutant)
    status, said = simulate(program, "--seed", "1", "--lives", str(lives), "--shrink")
    if status == 0:
        return f"{what}: nothing was noticed in {lives} lives"
    broken = re.match("seed [0-9]+: rule ([^:]*):", said[0]) if said else None
    if not broken or broken[1] not in rule.split(" or "):
        return f"{what}: noticed as something else: {said[0] if said else status}"
    shrunk = [re.match("shrunk: ([0-9]+) of the ([0-9]+) things", line) for line in said]
    shrunk = [tuple(map(int, m.groups())) for m in shrunk if m]
    if not shrunk:
        return f"{what}: its story is not told"
    status, again = simulate(program, *shlex.split(said[-1])[2:])
    if status != 1 or not any(f"BROKEN rule {broken[1]}:" in line for line in again):
        return f"{what}: '{said[-1]}' lives another life"
    print(f"{time.monotonic() - started:5.1f} s  {what}\n         {said[0]}\n"
          f"         told with {shrunk[0][0]} of {shrunk[0][1]} things", flush=True)
    counts.append(shrunk[0])
    noticed.add(broken[1])
    return None


def rules(source):
    """The names of all rules that the simulator can see broken."""
    found = set()
    for path in glob.glob(f"{source}/tests/simulation/*.c"):
        with open(path, encoding="utf-8") as file:
            for name in re.findall(r"rule_broken\((?:s->)?life,[^\"]*?((?:\"[^\"]*\"[ :\n]*)+),", file.read()):
                found.update(re.findall(r'"([^"]*)"', name))
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("--only", default="")
    parser.add_argument("--lives", type=int, default=LIVES)
    options = parser.parse_args()
    chosen = [m for m in MUTATIONS if options.only in m[0]]
    counts = []  # of each story: what it needs, of what happened
    noticed = set()
    with tempfile.TemporaryDirectory(prefix="stopd-mutations-") as folder:
        build = Build(os.path.abspath(options.source), folder)
        build.compile_all()
        plain = build.mutant("none", "executor/core/weigh.c",
                             mutate(build.source, "executor/core/weigh.c", "/* weigh.c", "/* weigh.c"))
        subprocess.run([plain, "--seed", "1", "--lives", "2000"], check=True)
        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            wrong = list(pool.map(lambda m: judge(build, m[0], m[1], options.lives, counts, noticed),
                                  enumerate(chosen)))
    wrong = [w for w in wrong if w]
    kept, happened = (sum(c[i] for c in counts) for i in (0, 1))
    if len(chosen) == len(MUTATIONS) and kept > happened / 4:
        wrong.append(f"stories are told at too great length: {kept} of {happened} things")
    n_noticed = len(counts)
    if len(chosen) == len(MUTATIONS):
        wrong += [f"no mutation shows that the rule '{name}' is guarded"
                  for name in sorted(rules(build.source) - noticed)]
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    print(f"{n_noticed} of {len(chosen)} mutations were noticed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
