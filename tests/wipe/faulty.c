/* faulty.c - stopd-wipe with a device that fails or lies, as its first argument says
 *
 * Theory of operation. A fault is a driver around a driver: the real one is opened, and a table of
 * our own passes everything on to it except what the fault is about. The program is stopd-wipe in
 * all else; it is built for the tests and never installed.
 *
 *   stopd-wipe-faulty FAULT[,FAULT]... [ARGUMENT OF STOPD-WIPE]...
 *
 *   lie=METHOD      does nothing and says that it did
 *   fail=METHOD     does nothing and says so
 *   residue=OFFSET  whatever clears the 4 KiB at OFFSET leaves something there
 *   unreadable      nothing can be read
 *   forgetful       writes of marks are dropped
 *   format=zeros, format=noise, format=nothing
 *                   the device has an nvme-format-crypto that does that
 *   unformatted     takes no writes until it is formatted
 *   stranger        becomes another device after the third look at its identity
 */
#include "wipe/main.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct {
    bool lies[CLEAR_METHOD_MAX], fails[CLEAR_METHOD_MAX];
    bool has_residue, is_unreadable, is_forgetful, is_unformatted, is_stranger;
    uint64_t residue;
    const char *format; /* NULL: it has none */
    int looks;
} faults;

static const struct storage_ops *real;

static int identify(struct storage_device *d, struct storage_identity *ret, struct error **err)
{
    int r = real->identify(d, ret, err);

    if (r >= 0 && faults.is_stranger && ++faults.looks > 3)
        identity_set(ret, IDENTITY_SERIAL, "STRANGER");
    return r;
}

static int offer(struct storage_device *d, enum clear_method method, struct storage_offer *ret,
                 struct error **err)
{
    if (!faults.format || method != CLEAR_NVME_FORMAT_CRYPTO)
        return real->offer(d, method, ret, err);
    *ret = (struct storage_offer){.is_available = true,
                                  .why = "a test says so",
                                  .level = LEVEL_CLEAR,
                                  .reach = REACH_DEVICE,
                                  .technique = "a format that a test plays"};
    return 0;
}

/* What a test writes by itself: one block after the other, of zeros, of noise or of a text. */
struct scribble {
    uint64_t at, end;
    bool is_noise;
    const char *text; /* or NULL */
};

static int next_scribble(void *context, struct storage_span *ret, struct error **err)
{
    struct scribble *s = context;

    if (s->at >= s->end)
        return 0;
    *ret = (struct storage_span){s->at, 4096};
    s->at += 4096;
    return 1;
}

static void fill_scribble(void *context, uint64_t offset, void *data, size_t n)
{
    const struct scribble *s = context;
    uint64_t *words = data;

    for (size_t i = 0; i < n / sizeof(*words); i++)
        words[i] = s->is_noise ? (offset + i + 1) * UINT64_C(0x9e3779b97f4a7c15) : 0;
    if (s->text)
        strcpy(data, s->text);
}

static void ignore_written(void *context, uint64_t offset)
{
}

static int write_scribble(struct storage_device *d, struct scribble s, struct error **err)
{
    struct storage_writing writing = {.piece = 4096,
                                      .next = next_scribble,
                                      .fill = fill_scribble,
                                      .written = ignore_written,
                                      .context = &s};

    return real->write(d, &writing, err);
}

static int overwrite_with(struct storage_device *d, bool is_noise, struct error **err)
{
    return write_scribble(d, (struct scribble){.end = d->size, .is_noise = is_noise}, err);
}

static int leave_residue(struct storage_device *d, struct storage_span span, struct error **err)
{
    struct scribble residue = {
        .at = faults.residue, .end = faults.residue + 4096, .text = "a tenant's secret"};

    if (!faults.has_residue || faults.residue < span.offset ||
        faults.residue >= span.offset + span.length)
        return 0;
    return write_scribble(d, residue, err);
}

static int clear(struct storage_device *d, enum clear_method method, struct storage_span span,
                 bool may_exit, const struct storage_pace *pace, struct storage_record *record,
                 struct error **err)
{
    int r;

    if (method == CLEAR_NVME_FORMAT_CRYPTO)
        faults.is_unformatted = false;
    if (faults.fails[method])
        return error_set(err, ERROR_IO, "a test lets %s fail", clear_method_to_string(method));
    if (faults.lies[method])
        return 0;
    if (faults.format && method == CLEAR_NVME_FORMAT_CRYPTO)
        r = text_equal(faults.format, "nothing")
                ? 0
                : overwrite_with(d, text_equal(faults.format, "noise"), err);
    else
        r = real->clear(d, method, span, may_exit, pace, record, err);
    return r < 0 ? r : leave_residue(d, span, err);
}

static int read_device(struct storage_device *d, const struct storage_reading *reading,
                       struct error **err)
{
    if (faults.is_unreadable)
        return error_set(err, ERROR_IO, "a test lets reading fail");
    return real->read(d, reading, err);
}

/* Says that all was written. */
static int forget(const struct storage_writing *writing, struct error **err)
{
    struct storage_span span;
    int r;

    while ((r = writing->next(writing->context, &span, err)) > 0)
        writing->written(writing->context, span.offset);
    return r;
}

static int write_marks(struct storage_device *d, const struct storage_writing *writing,
                       struct error **err)
{
    if (faults.is_unformatted)
        return error_set(err, ERROR_IO, "it takes nothing but a format");
    return faults.is_forgetful ? forget(writing, err) : real->write(d, writing, err);
}

static int open_faulty(const char *path, struct storage_device **ret, struct error **err)
{
    static struct storage_ops ops;
    int r = storage_open(path, ret, err);

    if (r < 0)
        return r;
    real = (*ret)->ops;
    ops = *real;
    ops.identify = identify;
    ops.offer = offer;
    ops.clear = clear;
    ops.read = read_device;
    ops.write = write_marks;
    (*ret)->ops = &ops;
    return 0;
}

static bool set_fault(char *fault)
{
    char *value = strchr(fault, '=');
    enum clear_method method;

    if (value)
        *value++ = '\0';
    if (text_equal(fault, "unreadable"))
        faults.is_unreadable = true;
    else if (text_equal(fault, "forgetful"))
        faults.is_forgetful = true;
    else if (text_equal(fault, "unformatted"))
        faults.is_unformatted = true;
    else if (text_equal(fault, "stranger"))
        faults.is_stranger = true;
    else if (value && text_equal(fault, "residue"))
        faults.has_residue = (faults.residue = strtoull(value, NULL, 10), true);
    else if (value && text_equal(fault, "format"))
        faults.format = value;
    else if (text_equal(fault, "lie") && clear_method_from_string(value, &method) >= 0)
        faults.lies[method] = true;
    else if (text_equal(fault, "fail") && clear_method_from_string(value, &method) >= 0)
        faults.fails[method] = true;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    char *rest = argc > 1 ? argv[1] : NULL, *fault;

    if (!rest)
        return WIPE_EXIT_USAGE;
    while ((fault = strsep(&rest, ",")))
        if (!set_fault(fault)) {
            fprintf(stderr, "stopd-wipe-faulty: no such fault: %s\n", fault);
            return WIPE_EXIT_USAGE;
        }
    argv[1] = argv[0];
    return wipe_main(argc - 1, argv + 1, open_faulty);
}
