/*
 * vanish.c - peers that vanish without a FIN or RST:
 *
 *     vanish PORT COUNT TEXT
 *
 * Connects COUNT times to the port on 127.0.0.1 and sends the text. Then the
 * kernel drops all packets for these sockets, so nothing is acknowledged and
 * nothing ends, as if the machine had been unplugged. Prints "vanished", and
 * sleeps until it is killed.
 */

#define _DEFAULT_SOURCE

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void check(int result, const char *what)
{
    if (result >= 0)
        return;
    perror(what);
    exit(1);
}

static void drop_all(int fd)
{
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {1, &nothing};
    check(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
                     sizeof program), "SO_ATTACH_FILTER");
}

static void vanish(int port, const char *text)
{
    struct sockaddr_in server = {.sin_family = AF_INET};
    server.sin_port = htons((uint16_t)port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd, "socket");
    check(connect(fd, (struct sockaddr *)&server, sizeof server), "connect");
    check((int)send(fd, text, strlen(text), MSG_NOSIGNAL), "send");
    drop_all(fd);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 1;
    for (int i = atoi(argv[2]); i > 0; i--)
        vanish(atoi(argv[1]), argv[3]);
    puts("vanished");
    fflush(stdout);
    for (;;)
        pause();
}
