// Serves a FUSE file system of one file of 1 MiB, "f", in a mount namespace of its own, opens the file and passes its descriptor to the
// UNIX socket argv[1]. Opening and asking about the file are answered; READ, WRITE and, unless argv[2] is "flush", FLUSH never are.
// Ends, and with it the file system and whatever waits for it, when standard input ends.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char request[(1 << 20) + 4096];

static void answer(int device, struct fuse_in_header *in, int error, const void *body, size_t length)
{
    char reply[4096];
    struct fuse_out_header out = { .len = sizeof(out) + (error ? 0 : length), .error = error, .unique = in->unique };
    memcpy(reply, &out, sizeof(out));
    if (!error)
        memcpy(reply + sizeof(out), body, length);
    (void)!write(device, reply, out.len);
}

static struct fuse_attr attributes(int is_root)
{
    struct fuse_attr attr = { .ino = is_root ? 1 : 2, .size = is_root ? 0 : 1 << 20, .nlink = 1 };
    attr.mode = is_root ? S_IFDIR | 0777 : S_IFREG | 0666;
    return attr;
}

static void serve(int device, int answers_flush)
{
    for (;;) {
        ssize_t count = read(device, request, sizeof(request));
        if (count < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT)
            return;
        if (count < (ssize_t)sizeof(struct fuse_in_header))
            continue;
        struct fuse_in_header *in = (void *)request;
        switch (in->opcode) {
        case FUSE_INIT: {
            struct fuse_init_out out = { .major = 7, .minor = 31, .max_readahead = 4096, .max_write = 4096 };
            answer(device, in, 0, &out, sizeof(out));
            break;
        }
        case FUSE_LOOKUP: {
            struct fuse_entry_out out = { .nodeid = 2, .attr = attributes(0) };
            answer(device, in, 0, &out, sizeof(out));
            break;
        }
        case FUSE_GETATTR: {
            struct fuse_attr_out out = { .attr = attributes(in->nodeid == 1) };
            answer(device, in, 0, &out, sizeof(out));
            break;
        }
        case FUSE_OPEN: {
            struct fuse_open_out out = { .fh = 1 };
            answer(device, in, 0, &out, sizeof(out));
            break;
        }
        case FUSE_READ:
        case FUSE_WRITE:
        case FUSE_FORGET:
            break;
        case FUSE_FLUSH:
            if (answers_flush)
                answer(device, in, 0, NULL, 0);
            break;
        default:
            answer(device, in, -ENOSYS, NULL, 0);
        }
    }
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

int main(int count, char **words)
{
    char options[100];
    if (count < 2 || unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
        fail("unshare");
    int device = open("/dev/fuse", O_RDWR);
    snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
    if (device < 0 || mount("stalling", "/mnt", "fuse", MS_NOSUID | MS_NODEV, options))
        fail("fuse");
    pid_t server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(device, count > 2);
        _exit(0);
    }
    close(device);
    int opened = open("/mnt/f", O_RDWR);
    if (opened < 0)
        fail("open");

    struct sockaddr_un address = { .sun_family = AF_UNIX };
    strncpy(address.sun_path, words[1], sizeof(address.sun_path) - 1);
    int to = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(to, (void *)&address, sizeof(address)))
        fail("connect");
    char space[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec byte = { "f", 1 };
    struct msghdr message = { .msg_iov = &byte, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space) };
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &opened, sizeof(int));
    if (sendmsg(to, &message, 0) != 1)
        fail("sendmsg");

    char end;
    while (read(0, &end, 1) > 0)
        ;
    kill(server, SIGKILL);
    return 0;
}
