/*
 * signal.c - see signal.h.
 */

#define _POSIX_C_SOURCE 200809L

#include "os/signal.h"

#include <signal.h>
#include <stddef.h>

void sl_signal_ignorepipe(void)
{
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 &&
        action.sa_handler == SIG_DFL) {
        action.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &action, NULL);
    }
}

int sl_signal_keeppipe(int (*function)(void *arg), void *arg)
{
    struct sigaction before;
    sigaction(SIGPIPE, NULL, &before);
    int result = function(arg);
    sigaction(SIGPIPE, &before, NULL);
    return result;
}

int sl_signal_isinterrupthandled(void)
{
    struct sigaction action;
    return sigaction(SIGINT, NULL, &action) == 0 &&
           action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}
