/* engine-metrics.c - the engine's own figures, in the Prometheus text format */
#include "engine/engine-internal.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>

static void metric(FILE *f, const char *name, const char *type, const char *help, uint64_t value)
{
    fprintf(f, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type, name, value);
}

/* Those of sinks that are no longer configured are somebody's to drop, too. */
static void write_letters(struct engine *e, FILE *f)
{
    json_object *counts = engine_letter_counts(e);
    uint64_t n = 0;

    if (!counts)
        return;
    fprintf(f, "# HELP stopd_sink_dead_letters Events that a sink refused and that are kept.\n"
               "# TYPE stopd_sink_dead_letters gauge\n");
    for (size_t i = 0; i < e->n_cursors; i++)
        if (json_get_number(counts, e->cursors[i].sink, &n) < 0 || n == 0)
            fprintf(f, "stopd_sink_dead_letters{sink=\"%s\"} 0\n", e->cursors[i].sink);
    json_object_object_foreach(counts, sink, count)
    {
        fprintf(f, "stopd_sink_dead_letters{sink=\"%s\"} %" PRIu64 "\n", sink,
                json_object_get_uint64(count));
    }
}

char *engine_metrics_text(struct engine *e)
{
    size_t counts[STATE_MAX] = {0}, phases[STAGE_MAX] = {0}, size = 0;
    char *text = NULL;
    FILE *f = open_memstream(&text, &size);
    struct domain *d;

    if (!f)
        return NULL;
    inventory_foreach(&e->inventory, d)
    {
        counts[domain_state_of(d)]++;
        if (d->op)
            phases[d->op->stage]++;
    }
    metric(f, "stopd_hypervisor_attached", "gauge", "1 while libvirt is at hand.",
           e->attachment == ATTACHED);
    metric(f, "stopd_hypervisor_attachments_total", "counter", "Times that libvirt was attached.",
           e->counters.attachments);
    metric(f, "stopd_hypervisor_stuck_calls_total", "counter",
           "Calls that were written off because libvirt did not answer in time.",
           e->counters.stuck_calls);
    metric(f, "stopd_journal_commits_total", "counter", "Transactions begun.", e->counters.commits);
    metric(f, "stopd_journal_failures_total", "counter", "Transactions that failed.",
           e->counters.commit_failures);
    metric(f, "stopd_journal_reserve_in_use", "gauge",
           "1 while the journal's disk is full and no new command is taken.", e->on_reserve);
    metric(f, "stopd_events_sequence", "counter", "Sequence of the last event written.",
           e->last_sequence);
    metric(f, "stopd_commands_accepted_total", "counter",
           "StopInstance commands that began a stop.", e->counters.accepted);
    metric(f, "stopd_commands_refused_total", "counter",
           "StopInstance commands refused by a check.", e->counters.refused);
    fprintf(f, "# HELP stopd_instances Instances on this host by state.\n"
               "# TYPE stopd_instances gauge\n");
    for (unsigned i = 0; i < STATE_MAX; i++)
        fprintf(f, "stopd_instances{state=\"%s\"} %zu\n",
                instance_state_to_string((enum instance_state)i), counts[i]);
    fprintf(f, "# HELP stopd_operations Unfinished operations by phase.\n"
               "# TYPE stopd_operations gauge\n");
    phases[STAGE_SHUTTING_DOWN] += phases[STAGE_RELENTING];
    for (unsigned i = 0; i < STAGE_DONE; i++)
        if (i != STAGE_RELENTING)
            fprintf(f, "stopd_operations{phase=\"%s\"} %zu\n", stage_to_string((enum stage)i),
                    phases[i]);
    fprintf(f, "# HELP stopd_operations_ended_total Operations that ended, by outcome.\n"
               "# TYPE stopd_operations_ended_total counter\n");
    for (unsigned i = OUTCOME_STOPPED; i < OUTCOME_MAX; i++)
        fprintf(f, "stopd_operations_ended_total{outcome=\"%s\"} %" PRIu64 "\n",
                outcome_to_string((enum outcome)i), e->counters.ended[i]);
    write_letters(e, f);
    if (e->host.add_metrics)
        e->host.add_metrics(e->host.userdata, f);
    return fclose(f) == 0 ? text : NULL;
}
