/* cast.c - who lives in the world: domains, their metadata, and how their guests behave */
#include "simulation/life.h"

#include <stdio.h>
#include <string.h>

#define CLEARED_TYPE "ecs.i1.xlarge"

static usec_t seconds(struct life *life, usec_t least, usec_t most)
{
    return dice_between(&life->dice, least * USEC_PER_SEC, most * USEC_PER_SEC);
}

void cast_manners(struct life *life, struct simulated_domain *d)
{
    struct dice *dice = &life->dice;
    struct guest_manners *m = &d->manners;
    static const enum guest_answer answers[] = {
        ANSWER_POWER_OFF, ANSWER_POWER_OFF, ANSWER_POWER_OFF, ANSWER_NONE,    ANSWER_NONE,
        ANSWER_REBOOT,    ANSWER_REBOOT,    ANSWER_PANIC,     ANSWER_SUSPEND, ANSWER_FREEZE,
    };

    *m = (struct guest_manners){0};
    m->answer = answers[dice_below(dice, ELEMENTSOF(answers))];
    m->answer_delay = dice_percent(dice, 60) ? seconds(life, 0, 5) : seconds(life, 0, 60);
    m->deaf = dice_percent(dice, 20) ? dice_below(dice, 4) : 0;
    m->agent = (enum guest_agent)dice_below(dice, 4);
    m->flush = dice_percent(dice, 50) ? seconds(life, 0, 3) : 0;
    if (dice_percent(dice, 10))
        m->linger = dice_percent(dice, 30) ? USEC_NEVER : seconds(life, 0, 100);
    m->kept_when_crashed = dice_percent(dice, 50);
    m->reset_after = dice_percent(dice, 30) ? dice_between(dice, 1, 60 * USEC_PER_MSEC) : 0;
    if (m->reset_after && dice_percent(dice, 40))
        m->after_reset = dice_percent(dice, 50) ? DOMAIN_PAUSED : DOMAIN_PMSUSPENDED;
    m->destroys_failed = dice_percent(dice, 10) ? dice_below(dice, 4) : 0;
    m->destroys_lost = dice_percent(dice, 10) ? dice_below(dice, 4) : 0;
    m->cannot_interlock = dice_percent(dice, 10);
    m->refuses_restore = dice_percent(dice, 3);
    m->refuses_button = dice_percent(dice, 4);
    m->refuses_wake = dice_percent(dice, 4);
    m->forgets_cause = dice_percent(dice, 10);
    m->hides_process = dice_percent(dice, 3);
    m->is_unreadable = dice_percent(dice, 3);
}

struct simulated_domain *cast_any(struct life *life)
{
    return life->guests[dice_below(&life->dice, life->n_guests)];
}

bool cast_is_cleared(const struct instance *i)
{
    return text_equal(i->type, CLEARED_TYPE);
}

/* Neither the system's disk nor one that was attached later. */
bool cast_is_local_disk(const struct disk *disk)
{
    return !text_equal(disk->target, "vda") && !text_equal(disk->target, "vdz");
}

void cast_account(struct life *life, struct instance *n)
{
    n->account = (enum account_status)(1 + dice_below(&life->dice, ACCOUNT_MAX - 1));
}

/* What it is charged, and what it is connected to. */
static void choose_terms(struct life *life, struct instance *n)
{
    struct dice *dice = &life->dice;
    bool is_special = dice_percent(dice, 25);

    n->network = is_special && dice_percent(dice, 40) ? NETWORK_CLASSIC : NETWORK_VPC;
    n->charge = is_special && dice_percent(dice, 40) ? CHARGE_PREPAID : CHARGE_POSTPAID;
    n->spot = is_special && dice_percent(dice, 50);
    if (dice_percent(dice, 4))
        cast_account(life, n);
    if (dice_percent(dice, 3))
        (void)instance_add_lock(n, "security");
    if (dice_percent(dice, 25))
        n->economical = dice_percent(dice, 60) ? TRISTATE_YES : TRISTATE_NO;
    if (dice_percent(dice, 30))
        (void)text_replace(&n->public_ip, "203.0.113.7");
}

static void add_local_disk(struct instance *n, const char *target, unsigned device)
{
    char path[32];

    snprintf(path, sizeof(path), "/dev/nvme%un1", device);
    (void)instance_add_disk(n, target, path, DISK_BLOCK);
}

/* Of a family whose local disks are cleared, or of another, with local disks or without. Each has
 * devices of its own. */
static void choose_storage(struct life *life, struct instance *n, unsigned i)
{
    struct dice *dice = &life->dice;
    char text[32];

    (void)instance_add_disk(n, "vda", "/var/lib/libvirt/images/vm.qcow2", DISK_FILE);
    if (life->temper.has_local_storage && dice_percent(dice, 60)) {
        (void)text_replace(&n->type, CLEARED_TYPE);
        for (unsigned k = 1 + dice_below(dice, 2); k > 0; k--) {
            snprintf(text, sizeof(text), "vd%c", 'a' + (int)k);
            add_local_disk(n, text, 2 * i + k - 1);
        }
    } else if (dice_percent(dice, 30)) {
        (void)text_replace(&n->type, "ecs.d1.2xlarge");
        add_local_disk(n, "vdb", 2 * i);
        if (dice_percent(dice, 50))
            (void)text_replace(&instance_add_local_disk(n)->target, "vdb");
    }
}

static struct instance *make_instance(struct life *life, unsigned i)
{
    struct dice *dice = &life->dice;
    struct instance *n = instance_new();
    char text[32];

    if (!n)
        abort();
    uuid_generate_random(n->uuid);
    snprintf(text, sizeof(text), "vm%u", i + 1);
    (void)text_replace(&n->name, text);
    snprintf(text, sizeof(text), "i-%u", i + 1);
    if (dice_percent(dice, 80))
        (void)text_replace(&n->id, text);
    if (dice_percent(dice, 20))
        n->stop.on_timeout = dice_percent(dice, 50) ? ON_TIMEOUT_FORCE : ON_TIMEOUT_FAIL;
    if (dice_percent(dice, 20))
        n->stop.grace = dice_between(dice, 1, 40) * USEC_PER_SEC;
    if (dice_percent(dice, 20))
        n->stop.method = (enum stop_method)dice_below(dice, METHOD_MAX);
    choose_terms(life, n);
    choose_storage(life, n, i);
    n->vcpus = 1 + dice_below(dice, 8);
    n->memory_kib = (uint64_t)n->vcpus << 21;
    return n;
}

static struct simulated_domain *create_guest(struct life *life, unsigned i)
{
    struct simulated_domain *d;

    fate_draw(life, FATE_GUEST, i);
    d = simulated_define(life->world, make_instance(life, i));
    /* Two claim one id. */
    if (d && life->temper.has_identity_changes && i > 0 && life->guests[i - 1] &&
        dice_percent(&life->dice, 30))
        (void)text_replace(&d->definition->id, life->guests[i - 1]->definition->id);
    if (!d)
        abort();
    life->guests[i] = d;
    fate_draw(life, FATE_MANNERS, i);
    if (fate_happens(life, FATE_MANNERS, i))
        cast_manners(life, d);
    else
        d->manners = (struct guest_manners){.answer_delay = USEC_PER_SEC};
    return d;
}

static void tell_terms(const struct life *life, const struct instance *i)
{
    tell(life, "  %s, %s, %s%s%s%s%s", network_kind_to_string(i->network),
         charge_kind_to_string(i->charge), account_status_to_string(i->account),
         i->spot ? ", spot" : "", i->n_locks > 0 ? ", locked" : "", i->type ? ", " : "",
         i->type ? i->type : "");
}

void cast_create(struct life *life)
{
    life->n_guests =
        1 + dice_below(&life->dice, dice_percent(&life->dice, 30) ? LIFE_DOMAINS_MOST : 2);

    if (life->temper.is_crowded)
        life->n_guests = LIFE_DOMAINS_MOST;
    for (unsigned i = 0; i < life->n_guests; i++) {
        struct simulated_domain *d;

        if (!fate_happens(life, FATE_GUEST, i))
            continue;
        d = create_guest(life, i);
        fate_draw(life, FATE_GUEST, i + LIFE_DOMAINS_MOST);
        d->is_persistent = dice_percent(&life->dice, 80);
        if (dice_percent(&life->dice, 25))
            d->defined_lifecycle.on_poweroff = LIFECYCLE_RESTART;
        if (dice_percent(&life->dice, 85))
            simulated_start(life->world, d);
        else if (!d->is_persistent)
            d->state = DOMAIN_ABSENT;
        if (dice_percent(&life->dice, 3) && simulated_pause(life->world, d) &&
            simulated_migrate(life->world, d))
            life->arrived_at = life->now + dice_between(&life->dice, 0, 20 * USEC_PER_SEC);
        tell(life, "%s is %s, on the button it %s after %.1f s", domain_word(d),
             domain_state_to_string(d->state), guest_answer_to_string(d->manners.answer),
             (double)d->manners.answer_delay / 1e6);
        tell_terms(life, d->definition);
    }
}
