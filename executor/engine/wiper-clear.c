/* wiper-clear.c - one disk of one operation, from the marker to the certificate
 *
 * Theory of operation. First the marker is made durable: from then on libvirt's hook lets no domain
 * start on the disk, so that what is looked at next cannot change behind our back. Then it has to
 * have its turn, see take_turn(). Then the domain is looked at: off or gone, and the process of the
 * run that was stopped ended. Then every other domain is read, running or only defined. What cannot
 * be told forbids the claim as much as what is in the way.
 *
 * Only then is a helper started. While it works all domains are read again, every few seconds: it
 * is told to stop where the domain is not off any more or another one names the disk now. Libvirt
 * being away is no reason to stop, for what is cleared is cleared, and nothing starts without it;
 * the helper itself looks out for whoever has the device open.
 *
 * The disk is cleared when the helper has said so with a certificate, its exit status says the
 * same, and it is gone.
 */
#include "engine/wiper-internal.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

/* How long to wait for a line before looking around. */
#define TICK USEC_PER_SEC

struct watch {
    usec_t heard;  /* the last line … */
    usec_t silent; /* … and when its lack is reported (again) */
    usec_t look;   /* the next survey */
};

/* --- Before the claim ------------------------------------------------------------------------ */

static int hold(struct clearing *c, struct error **err)
{
    const struct wipe_job *order = c->job->order;
    _cleanup_(error_free) struct error *error = NULL;
    struct marker m;

    if (marker_of(&m, order->domain, order->request_id, order->instance_id, &order->disk) < 0)
        return error_no_memory(err);
    if (marker_keeper_hold(c->job->wiper->keeper, &m, &c->hold, &error) < 0)
        return error_set(err, ERROR_UNKNOWN, "not begun, for it could not be marked as owed: %s",
                         error_message(error));
    return 0;
}

static int check_process(const struct wipe_job *order, const struct sighting *s, struct error **err)
{
    if (order->ended.pid == 0 || s->remembered == PROCESS_ENDED)
        return 0;
    return error_set(err, ERROR_UNKNOWN, "not begun, for the guest's process has not ended: %s",
                     s->process_detail ? s->process_detail : "it cannot be told");
}

/* Is it off, and may its disks be cleared for that? */
/* Its state cannot be told; but one that has a process is on its way up. */
static bool is_untold(const struct sighting *s)
{
    return s->state == DOMAIN_UNKNOWN && s->incarnation.pid == 0;
}

static int check_off(const struct sighting *s, struct error **err)
{
    if (is_untold(s))
        return error_set(err, ERROR_UNKNOWN, "libvirt cannot tell whether the domain is off");
    if (s->state != DOMAIN_OFF && s->state != DOMAIN_ABSENT)
        return error_set(err, ERROR_UNKNOWN, "the domain is not off any more (%s)",
                         s->state == DOMAIN_UNKNOWN ? "starting up"
                                                    : domain_state_to_string(s->state));
    if (s->has_managed_save)
        return error_set(err, ERROR_UNKNOWN, "the domain is saved, and goes on with its disks");
    if (s->has_run_since)
        return error_set(err, ERROR_UNKNOWN, "the domain was started again since it was stopped");
    return 0;
}

static int look_at_domain(struct clearing *c, struct error **err)
{
    const struct wipe_job *order = c->job->order;
    _cleanup_(sighting) struct sighting s = {0};
    _cleanup_(error_free) struct error *error = NULL;

    if (surveyor_look(c->job->wiper->surveyor, order->domain,
                      order->ended.pid ? &order->ended : NULL, c->job->config->call_timeout, &s,
                      &error) < 0)
        return error_set(err, ERROR_UNKNOWN,
                         "not begun, for libvirt cannot tell about the domain: %s",
                         error_message(error));
    if (check_off(&s, err) < 0)
        return error_context(err, "not begun");
    return check_process(order, &s, err);
}

static int check_wanted(struct clearing *c, struct error **err)
{
    const char *why = job_must_end(c->job);

    return why ? error_set(err, ERROR_UNKNOWN, "%s", why) : 0;
}

/* Partitions of one disk are cleared one after the other, for each helper would find the other's at
 * work on that disk. Nobody waits here for his turn: others could make use of the place. What
 * cannot be found is for later. */
static int take_turn(struct clearing *c, struct error **err)
{
    struct disk_node node;

    if (disk_node_of(c->job->order->disk.device, &node) == 0 && node.kind == DISK_BLOCK &&
        !job_takes_disk(c->job, node.self.device))
        return error_set(err, ERROR_UNKNOWN,
                         "not begun, for another clear is at work on the disk that %s lies on",
                         c->job->order->disk.device);
    return 0;
}

static int find_device(struct clearing *c, struct error **err)
{
    const struct planned_disk *disk = &c->job->order->disk;
    int r;

    if (text_replace(&c->device, disk->device) < 0)
        return error_no_memory(err);
    r = wanted_disk_find(c->device, &c->wanted);
    return r < 0 ? error_set_errno(err, ERROR_IO, r, "looking for %s", disk->device) : 0;
}

/* Is the file that is there the one of then, and only the number of its file system may be another?
 * Never within one boot: there that number is part of what tells the file from others. */
static bool is_file_of_another_boot(const struct planned_disk *disk, const struct disk_node *there)
{
    char now[UUID_TEXT_SIZE], birth[FILE_BIRTH_SIZE], inode[32];
    json_object *recorded;

    if (disk->kind != DISK_FILE || there->kind != DISK_FILE || !*disk->boot_id || !disk->born ||
        disk_boot_id(now) < 0 || text_equal(disk->boot_id, now))
        return false;
    snprintf(inode, sizeof(inode), "%llu", (unsigned long long)there->self.inode);
    return json_object_object_get_ex(disk->identity, "inode", &recorded) &&
           text_equal(json_object_get_string(recorded), inode) &&
           disk_file_birth(disk->device, birth) == 0 && text_equal(disk->born, birth);
}

/* The host was down meanwhile, and a file system may come up under another number. What stays is
 * the path, the file's inode, and the time at which that was made, which no other file of this
 * inode has. The helper is told the number of now, and compares it with what it has opened. */
static int renumber(const struct clearing *c, struct wipe_request *r, struct error **err)
{
    char device[32];

    if (!is_file_of_another_boot(&c->job->order->disk, &c->wanted.node))
        return 0;
    snprintf(device, sizeof(device), "%u:%u", major(c->wanted.node.self.device),
             minor(c->wanted.node.self.device));
    return text_replace(&r->identity.value[IDENTITY_DEVICE], device) < 0 ? error_no_memory(err) : 0;
}

static int add_devices(struct wipe_request *r, const struct instance *other)
{
    int result = 0;

    for (size_t i = 0; other && i < other->n_pci_devices && result == 0; i++)
        result = wipe_request_add_other_pci(r, other->name, other->pci_devices[i].address);
    return result;
}

static int add_others(struct wipe_request *r, const struct survey *v, const uuid_t domain)
{
    int result = 0;

    for (size_t i = 0; i < v->n && result == 0; i++)
        if (uuid_compare(v->disks[i].domain->domain, domain) != 0)
            result =
                wipe_request_add_other(r, v->disks[i].domain->instance->name, v->disks[i].source);
    for (size_t i = 0; i < v->domains.n && result == 0; i++)
        if (uuid_compare(v->domains.items[i].domain, domain) != 0)
            result = add_devices(r, v->domains.items[i].instance);
    return result;
}

static int add_companions(struct clearing *c, struct wipe_request *r, const struct survey *v,
                          struct error **err)
{
    const struct wipe_job *order = c->job->order;
    const struct sighting *own = survey_find(v, order->domain);

    if (!own || !own->instance)
        return 0;
    return request_add_companions(c->job->config, own->instance, order->disk.target, r, err);
}

static int look_at_others(struct clearing *c, struct wipe_request *r, struct error **err)
{
    struct surveyor *s = c->job->wiper->surveyor;
    const uuid_t *domain = &c->job->order->domain;
    _cleanup_(error_free) struct error *error = NULL;
    const struct survey *v = NULL;
    int result;

    if (surveyor_take(s, moment_now().monotonic, c->job->config->call_timeout, &v, &error) < 0 ||
        survey_is_whole(v, *domain, &error) < 0) {
        surveyor_give_back(s, v);
        return error_set(err, ERROR_UNKNOWN,
                         "not begun, for it cannot be told who else names the disk: %s",
                         error_message(error));
    }
    result = survey_check_others(v, *domain, &c->wanted, err);
    if (result == 0)
        result = add_companions(c, r, v, err);
    if (result == 0 && add_others(r, v, *domain) < 0)
        result = error_no_memory(err);
    surveyor_give_back(s, v);
    return result;
}

static int start_helper(struct clearing *c, const struct wipe_request *r, struct error **err)
{
    _cleanup_(error_free) struct error *error = NULL;

    if (request_send(c->job->config, r, &c->helper, &error) >= 0)
        return 0;
    /* Without a helper it is not the disk's doing; what cannot even be asked is for an operator. */
    c->is_final = error_code_of(error) == ERROR_USAGE || error_code_of(error) == ERROR_UNSUPPORTED;
    return error_set(err, c->is_final ? ERROR_IO : ERROR_UNKNOWN, "%s", error_message(error));
}

static int prepare(struct clearing *c, struct error **err)
{
    _cleanup_(request) struct wipe_request request;
    int r;

    wipe_request_init(&request);
    r = request_for_clear(c->job->config, c->job->order, &request, err);
    if (r == 0)
        r = hold(c, err);
    if (r == 0)
        r = take_turn(c, err);
    if (r == 0)
        r = look_at_domain(c, err);
    if (r == 0)
        r = find_device(c, err);
    if (r == 0)
        r = renumber(c, &request, err);
    if (r == 0)
        r = look_at_others(c, &request, err);
    if (r == 0)
        r = check_wanted(c, err);
    return r < 0 ? r : start_helper(c, &request, err);
}

/* --- While it works -------------------------------------------------------------------------- */

static void report_silence(struct clearing *c, struct watch *w, usec_t now)
{
    struct wipe_report *r;

    if (now < w->silent)
        return;
    w->silent = now + c->job->config->silence;
    r = wipe_report_new(WIPE_REPORT_SILENT, c->job->order);
    if (r && asprintf(&r->message, "the helper has said nothing for %llu s (%s)",
                      (unsigned long long)((now - w->heard) / USEC_PER_SEC),
                      helper_describe(c->helper)) < 0)
        r->message = NULL;
    if (r && r->message)
        job_report(c->job, r);
    else
        wipe_report_free(r); /* again after the next period */
}

/* Has somebody come between? Uncounted: the disk is not to blame. */
static int check_survey(struct clearing *c, const struct survey *v, struct error **err)
{
    const struct sighting *own = survey_find(v, c->job->order->domain);
    _cleanup_(error_free) struct error *error = NULL;

    if ((!own || is_untold(own) || check_off(own, &error) == 0) &&
        survey_check_others(v, c->job->order->domain, &c->wanted, &error) == 0)
        return 0;
    return error_set(err, ERROR_UNKNOWN, "stopped half-way: %s", error_message(error));
}

static int look_around(struct clearing *c, struct watch *w, usec_t now, struct error **err)
{
    struct surveyor *s = c->job->wiper->surveyor;
    const struct survey *v;
    int r;

    if (now < w->look)
        return 0;
    v = surveyor_peek(s, w->look);
    if (!v)
        return 0;
    w->look = v->began + c->job->config->look_every;
    r = check_survey(c, v, err);
    surveyor_give_back(s, v);
    return r;
}

/* Behind a socket one that says nothing at all is none: the service manager has closed the
 * connection, for too many are open or the program could not be started. */
static int without_last_word(struct clearing *c, struct error **err)
{
    bool is_none = !c->has_spoken && !helper_has_exit_status(c->helper);

    /* Its end tells why, if it comes at once. */
    helper_await_end(c->helper, c->job->bell,
                     moment_now().monotonic + c->job->config->stop_patience);
    return error_set(err, is_none ? ERROR_UNKNOWN : ERROR_IO, "the helper ended without %s (%s)",
                     is_none ? "a word" : "a last word", helper_describe(c->helper));
}

static usec_t least(usec_t a, usec_t b)
{
    return a < b ? a : b;
}

/* One line, or a look around. */
static int listen_once(struct clearing *c, struct watch *w, struct error **err)
{
    usec_t until = least(moment_now().monotonic + TICK, least(w->silent, w->look));
    enum heard heard = HEARD_NOTHING;
    const char *line = NULL;
    size_t n = 0;
    usec_t now;
    int r = helper_listen(c->helper, c->job->bell, until, &heard, &line, &n, err);

    now = moment_now().monotonic;
    if (r == 0 && heard == HEARD_LINE) {
        w->heard = now;
        w->silent = now + c->job->config->silence;
        r = clearing_take_line(c, line, n, err);
    } else if (r == 0 && heard == HEARD_END) {
        r = without_last_word(c, err);
    }
    if (r == 0 && !c->is_done)
        r = check_wanted(c, err);
    if (r == 0 && !c->is_done)
        r = look_around(c, w, now, err);
    if (r == 0 && !c->is_done)
        report_silence(c, w, now);
    return r;
}

static int converse(struct clearing *c, struct error **err)
{
    usec_t now = moment_now().monotonic;
    struct watch w = {.heard = now,
                      .silent = now + c->job->config->silence,
                      .look = now + c->job->config->look_every};
    int r = 0;

    while (r == 0 && !c->is_done)
        r = listen_once(c, &w, err);
    return r;
}

/* --- The end --------------------------------------------------------------------------------- */

/* A certificate counts only with the exit status that says the same. */
static int check_exit(struct clearing *c, struct error **err)
{
    if (!helper_has_exit_status(c->helper) || helper_exit_status(c->helper) == WIPE_EXIT_DONE)
        return 0;
    return error_set(err, ERROR_IO, "the helper gave a certificate, but %s",
                     helper_describe(c->helper));
}

/* A lack of memory is not the disk's doing. */
static void excuse(struct error **e)
{
    if (!*e || error_code_of(*e) != ERROR_NO_MEMORY)
        return;
    error_free(take(*e));
    error_set(e, ERROR_UNKNOWN, "out of memory");
}

static void report_end(struct clearing *c)
{
    bool is_cleared = !c->error && c->certificate;
    struct wipe_report *r =
        wipe_report_new(is_cleared ? WIPE_REPORT_CLEARED : WIPE_REPORT_FAILED, c->job->order);

    if (r) {
        r->certificate = is_cleared ? take(c->certificate) : NULL;
        r->error = take(c->error);
        r->is_final = c->is_final;
        r->is_spent = c->is_spent;
    }
    job_report(c->job, r);
}

void clear_run(struct job *j)
{
    struct clearing c = {.job = j};
    int r = prepare(&c, &c.error);

    if (r == 0)
        r = converse(&c, &c.error);
    if (c.helper)
        job_end_helper(j, c.helper, c.is_done);
    if (r == 0)
        check_exit(&c, &c.error);
    marker_keeper_release(j->wiper->keeper, c.hold);
    excuse(&c.error);
    report_end(&c);
    helper_free(c.helper);
    json_object_put(c.certificate);
    free(c.device);
}
