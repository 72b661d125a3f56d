// Reads a request a line, runs it, prints its output, and ends with a line end, which the output may lack, and a line "= STATUS": 0,
// an errno, or a shell's exit code.
#include "agent.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static const struct {
    const char *name;
    int words;
    command *run;
} commands[] = {
    // name, words after it
    { "read", 4, read_bar },           // ADDRESS BAR OFFSET BYTES
    { "write", 5, write_bar },         // ADDRESS BAR OFFSET BYTES VALUE
    { "open", 1, open_device },        // ADDRESS
    { "close", 0, close_device },
    { "reset", 0, reset_device },
    { "config", 3, write_config },     // OFFSET BYTES VALUE
    { "arm", 2, arm_interrupts },      // INDEX COUNT
    { "unmask", 0, unmask_pin },
    { "wait", 2, wait_for_interrupt }, // VECTOR MILLISECONDS
    { "page", 0, map_page },
    { "put", 2, put_bytes },           // OFFSET HEX
    { "get", 2, get_bytes },           // OFFSET COUNT
};

uint64_t number(const struct request *request, int word) { return strtoull(request->words[word], NULL, 0); }

void function_path(char *path, const char *address, const char *file) {
    snprintf(path, 256, "/sys/bus/pci/devices/%s/%s", address, file);
}

static int run(char *line) {
    char copy[4096];
    snprintf(copy, sizeof copy, "%s", line);
    struct request request = { 0 };
    for (char *word = strtok(copy, " "); word && request.count < 8; word = strtok(NULL, " "))
        request.words[request.count++] = word;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (request.count == commands[i].words + 1 && strcmp(request.words[0], commands[i].name) == 0)
            return commands[i].run(&request);
    }

    int status = system(line);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int main(void) {
    static char line[4096];
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("= ready");
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (strcmp(line, "stop") == 0)
            return 0;
        int status = run(line);
        printf("\n= %d\n", status);
    }

    return 0;
}
