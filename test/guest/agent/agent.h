// The agent of a test guest: a test sends it lines, and it answers from inside Linux.
#pragma once
#include <stdint.h>

// Words of a request; the first names what to do.
struct request {
    int count;
    char *words[8];
};

// Prints what was asked for and returns 0, or returns an errno.
typedef int command(const struct request *request);

// A number of a request, in C's notations.
uint64_t number(const struct request *request, int word);

// The file of a function in sysfs.
void function_path(char *path, const char *address, const char *file);

command read_bar, write_bar;
command open_device, close_device, reset_device, write_config, arm_interrupts, unmask_pin, wait_for_interrupt;
command map_page, put_bytes, get_bytes;

// Lets the lent device reach a page, and says at which address.
int lend_page(void *page, uint64_t length, uint64_t *address);
