/* holder.c - holds a device open as another process might, for the tests of the guards
 *
 *   holder fd PATH       an ordinary descriptor, read-only
 *   holder map PATH      a mapping; the descriptor is closed
 *   holder uring PATH    registered with an io_uring; the descriptor is closed
 *
 * Says "held" and goes on until it is killed. */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct io_uring_params params = {0};
    int ring, fd;

    if (argc != 3)
        return 64;
    fd = open(argv[2], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return perror(argv[2]), 1;
    if (!strcmp(argv[1], "map")) {
        if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
            return perror("mmap"), 1;
        close(fd);
    } else if (!strcmp(argv[1], "uring")) {
        ring = (int)syscall(SYS_io_uring_setup, 4, &params);
        if (ring < 0 || syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &fd, 1) < 0)
            return perror("io_uring"), 1;
        close(fd);
    } else if (strcmp(argv[1], "fd")) {
        return 64;
    }
    puts("held");
    fflush(stdout);
    for (;;)
        pause();
}
