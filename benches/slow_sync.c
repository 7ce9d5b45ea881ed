/* Makes every wait for the disk longer, to try a slow disk on a fast one.
 *
 *   cc -shared -fPIC -o slow_sync.so benches/slow_sync.c
 *   LD_PRELOAD=./slow_sync.so SLOW_SYNC_MS=20 costag run ...
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

typedef int (*sync_function)(int);

static int slowly(const char *name, int file) {
    const char *text = getenv("SLOW_SYNC_MS");
    long milliseconds = text ? atol(text) : 20;
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    sync_function real = (sync_function)dlsym(RTLD_NEXT, name);
    return real(file);
}

int fsync(int file) {
    return slowly("fsync", file);
}

int fdatasync(int file) {
    return slowly("fdatasync", file);
}
