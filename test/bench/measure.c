/*
 * measure.c - run one command and write down what it cost
 *
 *     measure FILE COMMAND [ARGUMENT ...]
 *
 * writes to FILE one line: seconds by the clock, of user and of system time,
 * and the largest resident set in KiB, of the command and of what it waited
 * for.  The exit status is the command's, or 127 if it did not start.
 *
 * The benchmark does not wait for its commands itself: Linux counts the
 * memory of the process that forks among that of the command, and Python's
 * 10 MB are more than some of the tools need.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NOT_STARTED = 127, BY_SIGNAL = 128 };

static double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds_of(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static int write_line(const char *path, double wall, const struct rusage *use)
{
    FILE *f = fopen(path, "w");

    if (f == NULL)
        return -1;
    fprintf(f, "%.6f %.6f %.6f %ld\n", wall, seconds_of(&use->ru_utime),
            seconds_of(&use->ru_stime), use->ru_maxrss);
    return fclose(f);
}

int main(int argc, char *argv[])
{
    struct rusage use;
    double began;
    int status;
    pid_t pid;

    if (argc < 3) {
        fputs("usage: measure file command [argument ...]\n", stderr);
        return 2;
    }
    began = seconds_now();
    pid = fork();
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(NOT_STARTED);
    }
    if (pid < 0 || wait4(pid, &status, 0, &use) != pid ||
        write_line(argv[1], seconds_now() - began, &use) != 0) {
        perror("measure");
        return NOT_STARTED;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status)
                             : BY_SIGNAL + WTERMSIG(status);
}
