/* main.c - simulate: lives many lives of a host and says which rule the first bad one broke
 *
 * simulate [--seed N] [--lives N] [--jobs N] [--trace] [--census] [--shrink] [--only LIST]
 * Each life has its own seed, counted up from the first; the same seed is the same life. Exit 1 at
 * the first rule that is broken, with the line that lives that life again. --shrink leaves out of
 * that life all that does not matter and tells what is left; --only lives a life of which only that
 * is left. --census counts what the lives have exercised.
 */
#include "simulation/census.h"
#include "simulation/life.h"
#include "simulation/shrink.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct options {
    uint64_t seed, lives;
    unsigned jobs;
    bool trace, shrink, census;
    struct fates *only;
};

/* What all jobs see. */
struct shared {
    _Atomic(bool) is_over; /* one has found a broken rule */
    struct census *census;
    _Atomic(uint64_t) lives, operations, events, commits, crashes;
};

static int usage(void)
{
    fputs("usage: simulate [--seed N] [--lives N] [--jobs N] [--trace] [--census] [--shrink] "
          "[--only LIST]\n",
          stderr);
    return 64;
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option long_options[] = {
        {"seed", required_argument, NULL, 's'}, {"lives", required_argument, NULL, 'n'},
        {"jobs", required_argument, NULL, 'j'}, {"trace", no_argument, NULL, 't'},
        {"shrink", no_argument, NULL, 'k'},     {"only", required_argument, NULL, 'o'},
        {"census", no_argument, NULL, 'c'},     {NULL, 0, NULL, 0},
    };
    static struct fates only;
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 's':
            o->seed = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            o->lives = strtoull(optarg, NULL, 10);
            break;
        case 'j':
            o->jobs = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 't':
            o->trace = true;
            break;
        case 'k':
            o->shrink = true;
            break;
        case 'c':
            o->census = true;
            break;
        case 'o':
            o->only = &only;
            if (fates_parse(optarg, &only) < 0)
                return -1;
            break;
        default:
            return -1;
        }
    }
    return optind == argc && o->lives > 0 && o->jobs > 0 ? 0 : -1;
}

static void count(struct shared *shared, const struct witness *w)
{
    shared->lives++;
    shared->operations += w->n_operations;
    shared->events += w->n_events;
    shared->commits += w->n_commits;
    shared->crashes += w->n_crashes;
}

/* The life has to be over before it can be lived again. */
static void shrink_life(struct life *life)
{
    struct fates happened = life->happened;
    char *broken = take(life->broken);
    uint64_t seed = life->seed;

    life->happened = (struct fates){0};
    shrink(seed, &happened, broken);
    fates_clear(&happened);
    free(broken);
}

/* Lives every jobs-th life. Returns whether all of them kept the rules. */
static bool live(const struct options *o, unsigned job, struct shared *shared)
{
    static struct life life;
    bool is_good = true;

    for (uint64_t i = job; i < o->lives && is_good && !shared->is_over; i += o->jobs) {
        uint64_t seed = o->seed + i;

        if (o->trace)
            printf("--- seed %" PRIu64 "\n", seed);
        is_good = life_run(&life, seed, o->only, o->trace);
        count(shared, &life.witness);
        if (!is_good) {
            shared->is_over = true;
            printf("seed %" PRIu64 ": %s\nreproduce: %s --seed %" PRIu64 " --trace\n", seed,
                   life.broken, program_invocation_name, seed);
            if (o->shrink)
                shrink_life(&life);
        }
        life_clear(&life);
    }
    census_add(shared->census);
    fflush(stdout);
    return is_good;
}

static bool live_in_jobs(const struct options *o, struct shared *shared)
{
    bool is_good = true;
    int status;

    for (unsigned job = 0; job < o->jobs; job++) {
        pid_t pid = fork();

        if (pid < 0) {
            perror("simulate: fork");
            exit(71);
        }
        if (pid == 0)
            exit(live(o, job, shared) ? 0 : 1);
    }
    while (wait(&status) > 0)
        is_good &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return is_good;
}

int main(int argc, char **argv)
{
    struct options o = {.seed = 1, .lives = 1, .jobs = 1};
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bool is_good;

    if (shared == MAP_FAILED || !(shared->census = census_shared()) || parse(argc, argv, &o) < 0)
        return usage();
    is_good = o.jobs > 1 ? live_in_jobs(&o, shared) : live(&o, 0, shared);
    if (is_good)
        printf("%" PRIu64 " lives: %" PRIu64 " stops, %" PRIu64 " events, %" PRIu64
               " commits, %" PRIu64 " ends of stopd; no rule broken\n",
               shared->lives, shared->operations, shared->events, shared->commits, shared->crashes);
    if (o.census)
        census_print(shared->census);
    return is_good ? 0 : 1;
}
