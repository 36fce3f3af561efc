/* peak_memory PROGRAM [ARGUMENT ...]: run it and print its peak resident memory in KiB to stderr.
 * A program of its own, because the figure that the system gives for a process starts at the size of the one
 * that started it: measured from Python, everything has at least Python's. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const pid_t child = fork();
  if (child == 0) {
    execv(argv[1], argv + 1);
    _exit(127);
  }
  int status = 0;
  struct rusage usage;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return 1;
  if (getrusage(RUSAGE_CHILDREN, &usage) != 0) return 1;
  fprintf(stderr, "%ld\n", usage.ru_maxrss);
  return 0;
}
