/* life.c - one life: a storm, then quiet, then the reckoning
 *
 * Theory of operation. The seed chooses the temper, the domains and stopd's configuration. Then
 * time jumps from one thing that is due to the next: the world's own, a call's effect or answer, a
 * hint, a command, a stroke of weather, the engine's deadline. When commands and weather are used
 * up the world becomes well behaved and time runs on until nothing is under way; then everything
 * has to have ended, or to stand in the open for a reason.
 */
#include "simulation/life.h"

#include "simulation/fiber.h"
#include "simulation/sinks.h"
#include "stopd/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* How long the quiet may take: every grace, back-off and time-out that the storm left behind. */
#define QUIET_MOST (900 * USEC_PER_SEC)
/* … and every try of a disk that never clears. */
#define QUIET_OF_DEAD_DISKS (3600 * USEC_PER_SEC)
/* Nothing is under way and nothing has happened for so long: the end. Where hints were lost, it
 * takes until stopd has glanced at everything. */
#define QUIET_LEAST (25 * USEC_PER_SEC)
#define UNHEARD_MOST (300 * USEC_PER_SEC)
/* The number, among the weather's, of that turns take time. */
#define PACE 900

static const struct life *log_to; /* whose story log lines belong to */
static struct dice *uuid_dice;

/* --- What the linker puts in the place of the outside's chance and log ---------------------- */

void __wrap_uuid_generate_random(uuid_t out);
void __wrap_uuid_new_upper(char ret[static UUID_TEXT_SIZE]);
void __wrap_uuid_new_lower(char ret[static UUID_TEXT_SIZE]);
void __wrap_log_say(enum log_level level, const struct log_fields *fields, const char *format, ...);

void __wrap_uuid_generate_random(uuid_t out)
{
    for (size_t i = 0; i < 2; i++) {
        uint64_t bits = dice_next(uuid_dice);

        memcpy(out + 8 * i, &bits, sizeof(bits));
    }
    out[6] = (unsigned char)((out[6] & 0x0f) | 0x40);
    out[8] = (unsigned char)((out[8] & 0x3f) | 0x80);
}

/* All chance, where stopd's own begin with the time: a story names the first digits only. */
void __wrap_uuid_new_upper(char ret[static UUID_TEXT_SIZE])
{
    uuid_t u;

    __wrap_uuid_generate_random(u);
    uuid_unparse_upper(u, ret);
}

void __wrap_uuid_new_lower(char ret[static UUID_TEXT_SIZE])
{
    uuid_t u;

    __wrap_uuid_generate_random(u);
    uuid_unparse_lower(u, ret);
}

void __wrap_log_say(enum log_level level, const struct log_fields *fields, const char *format, ...)
{
    char text[1000];
    va_list ap;

    if (!log_to || !log_to->is_told || log_to->is_dying)
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    story_line(log_to, "log: %s", text);
}

/* --- The story ------------------------------------------------------------------------------ */

void story_line(const struct life *life, const char *format, ...)
{
    va_list ap;

    printf("%12.6f  ", (double)life->now / 1e6);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    putchar('\n');
}

void rule_broken(struct life *life, const char *rule, const char *format, ...)
{
    char text[600];
    int n = snprintf(text, sizeof(text), "rule %s: ", rule);
    va_list ap;

    if (life->broken)
        return;
    va_start(ap, format);
    vsnprintf(text + n, sizeof(text) - (size_t)n, format, ap);
    va_end(ap);
    life->broken = strdup(text);
    tell(life, "BROKEN %s", text);
}

const char *domain_word(const struct simulated_domain *d)
{
    return d->definition->name;
}

/* --- The beginning -------------------------------------------------------------------------- */

static void choose_temper(struct life *life)
{
    struct dice *dice = &life->dice;
    struct temper *t = &life->temper;
    bool is_rough = dice_percent(dice, 60);

    t->commands = 1 + dice_below(dice, 7);
    t->is_aimed = dice_percent(dice, 35);
    t->commands += t->is_aimed ? dice_below(dice, 5) : 0;
    t->weather = dice_below(dice, is_rough ? 12 : 4);
    t->slow_calls = dice_percent(dice, 50) ? dice_below(dice, 20) : 0;
    t->hung_calls = is_rough && dice_percent(dice, 30) ? dice_below(dice, t->is_aimed ? 20 : 8) : 0;
    t->failing_calls = is_rough && dice_percent(dice, 50) ? dice_below(dice, 20) : 0;
    t->lost_answers = is_rough && dice_percent(dice, 40) ? dice_below(dice, 15) : 0;
    t->lost_hints = dice_percent(dice, 30) ? dice_below(dice, 40) : 0;
    t->doubled_hints = dice_below(dice, 20);
    t->late_hints = dice_percent(dice, 40) ? dice_below(dice, 40) : 0;
    t->commit_failures = dice_percent(dice, 40) ? 100 : 0;
    t->sink_troubles = is_rough && dice_percent(dice, 60) ? dice_below(dice, 50) : 0;
    t->has_crashes = dice_percent(dice, 60);
    t->has_host_reboots = dice_percent(dice, 30);
    t->has_identity_changes = dice_percent(dice, 10);
    t->has_parallel_bound = dice_percent(dice, 30);
    t->is_forgetful = dice_percent(dice, 10);
    t->has_bad_disks = dice_percent(dice, t->is_aimed ? 80 : 30);
    t->is_crowded = dice_percent(dice, t->is_aimed ? 40 : 8);
    t->has_parallel_bound |= t->is_crowded;
    t->has_local_storage = dice_percent(dice, t->is_aimed ? 75 : 30) || t->is_crowded;
    t->has_operator = dice_percent(dice, 30);
    t->reading_failures = is_rough && dice_percent(dice, 40) ? 1 + dice_below(dice, 15) : 0;
    t->has_dead_disks = t->has_local_storage && dice_percent(dice, 8);
}

/* With dice of its own: lives whose turns take no time are what they would be without it. Half of
 * the others are crowded, and strokes are aimed, for much has to happen for two things to meet. */
static void choose_pace(struct life *life)
{
    const struct dice kept = life->dice;
    struct temper *t = &life->temper;

    fate_draw(life, FATE_WEATHER, PACE);
    if (dice_percent(&life->dice, 40) && fate_happens(life, FATE_WEATHER, PACE)) {
        t->turn_most = dice_between(&life->dice, USEC_PER_MSEC, 400 * USEC_PER_MSEC);
        if (dice_percent(&life->dice, 50))
            t->is_aimed = t->is_crowded = t->has_parallel_bound = true;
    }
    life->dice = kept;
}

static void choose_settings(struct life *life)
{
    static const char *const families[] = {"ecs.i1"};
    struct dice *dice = &life->dice;

    life->settings = (struct engine_settings){
        .host_id = "simulated",
        .policy =
            {
                .stop = {.grace = dice_between(dice, 2, 60) * USEC_PER_SEC,
                         .method = (enum stop_method)(1 + dice_below(dice, METHOD_MAX - 1)),
                         .on_timeout = dice_percent(dice, 40) ? ON_TIMEOUT_FORCE : ON_TIMEOUT_FAIL},
                .resend = dice_between(dice, 1, 15) * USEC_PER_SEC,
                .stopped_mode = dice_percent(dice, 40) ? STOPPED_MODE_STOP_CHARGING
                                                       : STOPPED_MODE_KEEP_CHARGING,
                .local_families = families,
                .n_local_families = ELEMENTSOF(families),
            },
        .parallel = life->temper.is_crowded           ? 1
                    : life->temper.has_parallel_bound ? 1 + dice_below(dice, 2)
                                                      : 0,
        .clear_parallel = dice_below(dice, 3),
        .call_timeout = 30 * USEC_PER_SEC,
        .destroy_timeout = 90 * USEC_PER_SEC,
        .retain = life->temper.is_forgetful ? dice_between(dice, 1, 200) * USEC_PER_SEC
                                            : 72 * 3600 * USEC_PER_SEC,
    };
}

static void begin(struct life *life)
{
    static struct journal *journal;
    _cleanup_(error_free) struct error *error = NULL;
    bool fresh;

    if (!journal && journal_open(":memory:", &fresh, &journal, &error) < 0) {
        fprintf(stderr, "simulate: %s\n", error_message(error));
        exit(70);
    }
    life->journal = journal;
    journal_wipe(journal);
    journal_faults_attend(life);
    fibers_attend(life);
    readings_attend(life);
    choose_temper(life);
    choose_pace(life);
    life->world = simulated_new(dice_percent(&life->dice, life->temper.is_aimed ? 60 : 88));
    if (!life->world)
        abort();
    life->world->pids = 2 + (pid_t)dice_below(&life->dice, 20);
    life->world->observer = (struct simulated_observer){witness_happened, life};
    life->available_at = life->lost_at = life->arrived_at = life->journal_well_at = USEC_NEVER;
    life->restart_at = USEC_NEVER;
    for (unsigned i = 0; i < LIFE_DOMAINS_MOST; i++)
        life->aims[i] = (struct aim){
            .stage = STAGE_DONE, .at = USEC_NEVER, .echoes = {USEC_NEVER, USEC_NEVER, USEC_NEVER}};
    choose_settings(life);
    sinks_create(life);
    life->parallel_most = life->settings.parallel;
    life->commands_left = life->temper.commands;
    life->weather_left = life->temper.weather;
    life->now = dice_between(&life->dice, USEC_PER_SEC, 100 * USEC_PER_SEC);
    simulated_advance(life->world, life->now);
    life->world->booted_at = life->now;
    cast_create(life);
    fate_draw(life, FATE_LUCK, fate_number(life, FATE_LUCK, NULL, 0));
    life->next_command = life->now + dice_between(&life->dice, 0, 10 * USEC_PER_SEC);
    life->next_weather = life->now + dice_between(&life->dice, 0, 10 * USEC_PER_SEC);
    host_start_engine(life);
}

/* --- Time ----------------------------------------------------------------------------------- */

/* When the engine wants its next turn, on the life's clock. */
static usec_t engine_due(const struct life *life)
{
    usec_t due = engine_next_turn(life->engine), now = host_now((void *)life).monotonic;

    if (due == USEC_NEVER || due <= now)
        return due == USEC_NEVER ? due : life->now;
    return life->now + (due - now);
}

/* … and when it has it: what arrives while its last one goes on waits for the end of that, and
 * shares the next. */
static usec_t next_turn(const struct life *life)
{
    usec_t due = life->has_arrivals ? life->now : engine_due(life);

    return due < life->turn_ends ? life->turn_ends : due;
}

static usec_t next_due(const struct life *life)
{
    usec_t due = USEC_NEVER;

    earlier(&due, simulated_next(life->world));
    earlier(&due, host_next(life));
    earlier(&due, weather_next(life));
    earlier(&due, life->restart_at);
    if (!life->is_quiet) {
        earlier(&due, life->next_command);
        earlier(&due, life->next_weather);
        earlier(&due, aim_next(life));
    }
    if (life->engine)
        earlier(&due, next_turn(life));
    return due;
}

static void go_to(struct life *life, usec_t due)
{
    if (due < life->now)
        due = life->now;
    if (life->engine && engine_is_attached(life->engine))
        witness_time(life, due - life->now);
    witness_buttons_time(life, due - life->now);
    life->now = due;
    simulated_advance(life->world, due);
}

static usec_t a_while(struct life *life)
{
    bool is_long = dice_percent(&life->dice, 3); /* the engine glances at all meanwhile */
    usec_t most = is_long                         ? 400 * USEC_PER_SEC
                  : dice_percent(&life->dice, 40) ? 2 * USEC_PER_SEC
                                                  : 30 * USEC_PER_SEC;

    return dice_percent(&life->dice, 10) ? 0 : dice_between(&life->dice, 0, most);
}

static void stir_commands(struct life *life)
{
    unsigned number = (life->temper.commands - life->commands_left) * 10;

    fate_draw(life, FATE_COMMAND, number + 9);
    life->next_command = life->commands_left > 0 ? life->now + a_while(life) : USEC_NEVER;
    if (life->commands_left == 0)
        return;
    life->commands_left--;
    do {
        fate_draw(life, FATE_COMMAND, number);
        if (fate_happens(life, FATE_COMMAND, number))
            ask_something(life);
        host_consider_crash(life, number);
        number++;
        fate_draw(life, FATE_LUCK, number);
    } while (number % 10 < 8 && dice_percent(&life->dice, 20));
}

static void stir_weather(struct life *life)
{
    unsigned number = life->temper.weather - life->weather_left;

    fate_draw(life, FATE_WEATHER, number);
    life->next_weather = life->weather_left > 0 ? life->now + a_while(life) : USEC_NEVER;
    if (life->weather_left == 0)
        return;
    life->weather_left--;
    if (fate_happens(life, FATE_WEATHER, number))
        weather_change(life);
    host_consider_crash(life, 100 + number);
}

static void stir(struct life *life)
{
    if (life->next_command <= life->now)
        stir_commands(life);
    if (life->next_weather <= life->now)
        stir_weather(life);
}

static void advance(struct life *life)
{
    go_to(life, next_due(life));
    weather_advance(life);
    host_advance(life);
    if (!life->is_quiet)
        stir(life);
    aim_advance(life);
    if (!life->engine && life->restart_at <= life->now)
        host_start_engine(life);
    if (life->engine && next_turn(life) <= life->now)
        host_turn(life);
}

static bool is_storm_over(const struct life *life)
{
    return life->next_command == USEC_NEVER && life->next_weather == USEC_NEVER;
}

static bool is_settled(const struct life *life)
{
    return life->engine && engine_is_attached(life->engine) && !life->flights && !life->hints &&
           !life->wipings && engine_unfinished(life->engine) == 0 && life->requests_out == 0 &&
           sinks_are_done(life) && simulated_next(life->world) == USEC_NEVER;
}

bool life_run(struct life *life, uint64_t seed, const struct fates *only, bool is_told)
{
    usec_t quiet_at, settled_at, most;

    *life = (struct life){.seed = seed, .only = only, .is_told = is_told};
    dice_seed(&life->dice, seed);
    dice_seed(&life->uuid_dice, ~seed);
    uuid_dice = &life->uuid_dice;
    log_to = life;
    begin(life);
    while (!life->broken && !is_storm_over(life))
        advance(life);
    if (!life->broken)
        weather_calm(life);
    quiet_at = life->now;
    settled_at = USEC_NEVER;
    most = life->temper.has_dead_disks ? QUIET_OF_DEAD_DISKS : QUIET_MOST;
    while (!life->broken && life->now < quiet_at + most) {
        advance(life);
        if (!is_settled(life))
            settled_at = USEC_NEVER;
        else if (settled_at == USEC_NEVER)
            settled_at = life->now;
        else if (life->now - settled_at >= (life->has_lost_hints ? UNHEARD_MOST : QUIET_LEAST))
            break;
    }
    if (!life->broken)
        witness_end(life);
    host_end_engine(life, true);
    return !life->broken;
}

void life_clear(struct life *life)
{
    log_to = NULL;
    host_end_engine(life, false);
    host_forget_calls(life);
    life->world->hypervisor.ops->free(&life->world->hypervisor);
    witness_clear(life);
    journal_faults_attend(NULL);
    readings_attend(NULL);
    sinks_free(life);
    fates_clear(&life->happened);
    free(life->broken);
}
