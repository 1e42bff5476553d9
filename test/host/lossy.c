/*
 * lossy.c - a network that loses and delays packets, for one command:
 *
 *     lossy LOSS DELAY SEED COMMAND [ARGUMENT...]
 *
 * LOSS of 1000 packets are lost, the others arrive after DELAY to twice DELAY
 * milliseconds, hence reordered. The command runs in a network namespace of its
 * own with an additional interface, a tun device that this program serves. The
 * interface has the address 10.99.0.1. Packets to 10.99.0.2 are sent back with
 * the two addresses exchanged, which leaves the checksums valid. Exits with the
 * command's status, or with 77 and the reason if no such network can be made.
 */

#define _GNU_SOURCE    /* unshare */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PACKET_MAX = 2048, QUEUE_MAX = 8192, NOT_HERE = 77 };

typedef struct packet {
    double due;
    size_t size;
    unsigned char bytes[PACKET_MAX];
} packet;

static packet queue[QUEUE_MAX];    /* the first `queued` are in transit */
static int queued;
static uint64_t state;

static void check(int result, const char *what)
{
    if (result >= 0)
        return;
    printf("no lossy network: %s: %s\n", what, strerror(errno));
    exit(NOT_HERE);
}

static unsigned long draw(unsigned long end)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned long)(state >> 11) % end;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* --- the interface ----------------------------------------------------- */

static void set_address(struct ifreq *request, const char *address)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    inet_pton(AF_INET, address, &name.sin_addr);
    memcpy(&request->ifr_addr, &name, sizeof name);
}

static int open_tun(void)
{
    struct ifreq request;
    int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    check(tun, "/dev/net/tun");
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, "lossy");
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    check(ioctl(tun, TUNSETIFF, &request), "TUNSETIFF");
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check(s, "socket");
    set_address(&request, "10.99.0.1");
    check(ioctl(s, SIOCSIFADDR, &request), "SIOCSIFADDR");
    set_address(&request, "255.255.255.0");
    check(ioctl(s, SIOCSIFNETMASK, &request), "SIOCSIFNETMASK");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    check(ioctl(s, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
    strcpy(request.ifr_name, "lo");
    check(ioctl(s, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
    close(s);
    return tun;
}

/* --- packets ----------------------------------------------------------- */

static void exchange_addresses(unsigned char *ip)
{
    unsigned char source[4];
    memcpy(source, ip + 12, 4);
    memcpy(ip + 12, ip + 16, 4);
    memcpy(ip + 16, source, 4);
}

static void take_packet(int tun, unsigned long loss, unsigned long delay)
{
    packet *p = &queue[queued];
    ssize_t n = read(tun, p->bytes, sizeof p->bytes);
    if (n < 20 || p->bytes[0] >> 4 != 4 || draw(1000) < loss ||
        queued == QUEUE_MAX - 1)
        return;
    exchange_addresses(p->bytes);
    p->size = (size_t)n;
    p->due = now() + (double)delay + (double)draw(delay * 1000 + 1) / 1e3;
    queued++;
}

/* Delivers the packets that are due. Returns the ms until the next, or -1. */
static int deliver(int tun)
{
    double time = now(), next = -1;
    for (int i = 0; i < queued; i++) {
        packet *p = &queue[i];
        if (p->due <= time) {
            if (write(tun, p->bytes, p->size) < 0)
                perror("lossy: write");
            *p = queue[--queued];
            i--;
        } else if (next < 0 || p->due < next) {
            next = p->due;
        }
    }
    return next < 0 ? -1 : (int)(next - time) + 1;
}

static int relay(int tun, pid_t child, unsigned long loss,
                 unsigned long delay)
{
    int status;
    while (waitpid(child, &status, WNOHANG) == 0) {
        struct pollfd p = {tun, POLLIN, 0};
        int left = deliver(tun);
        if (poll(&p, 1, left < 0 || left > 50 ? 50 : left) > 0)
            take_packet(tun, loss, delay);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    check(unshare(geteuid() == 0 ? CLONE_NEWNET
                                 : CLONE_NEWUSER | CLONE_NEWNET), "unshare");
    int tun = open_tun();
    state = strtoul(argv[3], NULL, 10) * 0x9e3779b97f4a7c15u + 1;
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[4], argv + 4);
        _exit(127);
    }
    check(child, "fork");
    return relay(tun, child, strtoul(argv[1], NULL, 10),
                 strtoul(argv[2], NULL, 10));
}
