/* stopd-wipe.c - wires the wipe room to the real drivers */
#include "wipe/main.h"

int main(int argc, char **argv)
{
    return wipe_main(argc, argv, storage_open);
}
