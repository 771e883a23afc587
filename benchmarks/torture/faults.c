/* Lets system calls on files below one folder fail: loaded by LD_PRELOAD, armed by `torture_arm` in the forked command.
 *
 * Python, SQLite, HDF5 and torch all reach the kernel through these functions of the C library, so that one place
 * covers the write sites of all of them. Nothing happens in a process that was never armed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITES = 1, READS = 2, LOCKS = 4, NAMES = 8, CLOCK = 16 };
enum { ONCE = 0, STAYS = 1, SHORT = 2 };

static char root[PATH_MAX];
static size_t root_length;
static long first, jump;
static int fault, kinds, mode, told = -1;
static atomic_long calls, ticks;

/* The fault begins with the `nth` call (0: never) of `which` below `folder`; every fault goes into the file `log`, and
 * without a fault every call. `seconds` is added to the clock from the nth look on. */
void torture_arm(const char *folder, long nth, int number, int which, int how, const char *log, long seconds) {
    told = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    snprintf(root, sizeof root, "%s", folder);
    root_length = strlen(root);
    first = nth, fault = number, mode = how, jump = seconds;
    kinds = which;
}

static void tell(const char *call, const char *path) {
    char line[PATH_MAX + 32];
    int length = snprintf(line, sizeof line, "%s %s\n", call, path);
    if (told >= 0 && length > 0) syscall(SYS_write, told, line, (size_t)length);
}

static int below(const char *path) {
    return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

/* Whether this call fails: 1 wholly, 2 after a half, 0 not. */
static int fails(int kind, const char *call, const char *path) {
    if (!(kinds & kind) || !below(path)) return 0;
    long number = atomic_fetch_add(&calls, 1) + 1;
    int now = first && (mode == ONCE ? number == first : number >= first);
    if (!now && first) return 0;
    tell(call, path);
    if (!now) return 0;
    errno = fault;
    return mode == SHORT && number == first ? 2 : 1;
}

static int fails_at(int kind, const char *call, int folder, const char *name) {
    char path[2 * PATH_MAX] = "", link[64];
    int before = errno;
    if (!(kinds & kind) || !name) return 0;
    if (name[0] != '/') {
        snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, path, PATH_MAX - 1);
        path[length < 0 ? 0 : length] = 0;
        strcat(path, "/");
    }
    strncat(path, name, PATH_MAX - 1);
    errno = before;
    return fails(kind, call, path);
}

static int fails_on(int kind, const char *call, int handle) {
    char path[PATH_MAX], link[64];
    int before = errno;
    if (!(kinds & kind)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    errno = before;
    return fails(kind, call, path);
}

#define REAL(type, name) \
    static type (*real)(); \
    if (!real) real = (type (*)())dlsym(RTLD_NEXT, name)

/* A file that does not exist yet needs a new inode. */
static int makes(int folder, const char *path, int flags) {
    int before = errno;
    int made = flags & O_CREAT && faccessat(folder, path, F_OK, 0) != 0 ? NAMES : 0;
    errno = before;
    return made;
}

static int writes(int flags) { return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0; }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, #name); \
        va_list rest; \
        va_start(rest, flags); \
        int rights = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; \
        va_end(rest); \
        if (writes(flags) && fails_at(WRITES | makes(AT_FDCWD, path, flags), "open", AT_FDCWD, path)) return -1; \
        if (!writes(flags) && !(flags & O_DIRECTORY) && fails_at(READS, "open", AT_FDCWD, path)) return -1; \
        return real(path, flags, rights); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(int, #name); \
        va_list rest; \
        va_start(rest, flags); \
        int rights = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; \
        va_end(rest); \
        if (writes(flags) && fails_at(WRITES | makes(folder, path, flags), "open", folder, path)) return -1; \
        if (!writes(flags) && !(flags & O_DIRECTORY) && fails_at(READS, "open", folder, path)) return -1; \
        return real(folder, path, flags, rights); \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name) \
    FILE *name(const char *path, const char *how) { \
        REAL(FILE *, #name); \
        int changes = strpbrk(how, "wa+") != NULL; \
        return fails_at(changes ? WRITES | makes(AT_FDCWD, path, O_CREAT) : READS, "open", AT_FDCWD, path) ? NULL : real(path, how); \
    }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int handle, const void *from, size_t size) {
    REAL(ssize_t, "write");
    int how = fails_on(WRITES, "write", handle);
    if (how == 2 && size > 1) return real(handle, from, size / 2);
    return how ? -1 : real(handle, from, size);
}

#define PWRITE(name) \
    ssize_t name(int handle, const void *from, size_t size, off_t at) { \
        REAL(ssize_t, #name); \
        int how = fails_on(WRITES, "write", handle); \
        if (how == 2 && size > 1) return real(handle, from, size / 2, at); \
        return how ? -1 : real(handle, from, size, at); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t writev(int handle, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev");
    return fails_on(WRITES, "write", handle) ? -1 : real(handle, parts, count);
}

ssize_t sendfile(int to, int from, off_t *at, size_t size) {
    REAL(ssize_t, "sendfile");
    return fails_on(WRITES, "write", to) ? -1 : real(to, from, at, size);
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *there, size_t size, unsigned flags) {
    REAL(ssize_t, "copy_file_range");
    return fails_on(WRITES, "write", to) ? -1 : real(from, at, to, there, size, flags);
}

#define ON_HANDLE(name, call, rest, values) \
    int name(int handle rest) { \
        REAL(int, #name); \
        return fails_on(WRITES, call, handle) ? -1 : real(handle values); \
    }
#define COMMA ,
ON_HANDLE(fsync, "fsync", , )
ON_HANDLE(fdatasync, "fsync", , )
ON_HANDLE(ftruncate, "truncate", COMMA off_t size, COMMA size)
ON_HANDLE(ftruncate64, "truncate", COMMA off64_t size, COMMA size)

ssize_t read(int handle, void *to, size_t size) {
    REAL(ssize_t, "read");
    return fails_on(READS, "read", handle) ? -1 : real(handle, to, size);
}

#define PREAD(name) \
    ssize_t name(int handle, void *to, size_t size, off_t at) { \
        REAL(ssize_t, #name); \
        return fails_on(READS, "read", handle) ? -1 : real(handle, to, size, at); \
    }
PREAD(pread)
PREAD(pread64)

int rename(const char *old, const char *name) {
    REAL(int, "rename");
    return fails_at(WRITES, "rename", AT_FDCWD, name) ? -1 : real(old, name);
}

int renameat(int here, const char *old, int there, const char *name) {
    REAL(int, "renameat");
    return fails_at(WRITES, "rename", there, name) ? -1 : real(here, old, there, name);
}

int link(const char *old, const char *name) {
    REAL(int, "link");
    return fails_at(WRITES, "link", AT_FDCWD, name) ? -1 : real(old, name);
}

int linkat(int here, const char *old, int there, const char *name, int flags) {
    REAL(int, "linkat");
    return fails_at(WRITES, "link", there, name) ? -1 : real(here, old, there, name, flags);
}

int mkdir(const char *name, mode_t rights) {
    REAL(int, "mkdir");
    struct stat there;
    /* of a folder that exists, a read-only file system says so: nothing would be written */
    if (stat(name, &there) == 0) return real(name, rights);
    return fails_at(WRITES | NAMES, "mkdir", AT_FDCWD, name) ? -1 : real(name, rights);
}

int unlink(const char *name) {
    REAL(int, "unlink");
    struct stat there;
    if (lstat(name, &there) != 0 || fault == ENOSPC || fault == EDQUOT) return real(name); /* a full disk deletes */
    return fails_at(WRITES, "unlink", AT_FDCWD, name) ? -1 : real(name);
}

int rmdir(const char *name) {
    REAL(int, "rmdir");
    if (fault == ENOSPC || fault == EDQUOT) return real(name);
    return fails_at(WRITES, "rmdir", AT_FDCWD, name) ? -1 : real(name);
}

int chmod(const char *name, mode_t rights) {
    REAL(int, "chmod");
    return fails_at(WRITES, "chmod", AT_FDCWD, name) ? -1 : real(name, rights);
}

int flock(int handle, int operation) {
    REAL(int, "flock");
    return !(operation & 8) && fails_on(LOCKS, "flock", handle) ? -1 : real(handle, operation);
}

#define FCNTL(name) \
    int name(int handle, int command, ...) { \
        REAL(int, #name); \
        va_list rest; \
        va_start(rest, command); \
        void *value = va_arg(rest, void *); \
        va_end(rest); \
        if ((command == F_SETLK || command == F_SETLKW) && ((struct flock *)value)->l_type != F_UNLCK \
            && fails_on(LOCKS, "lock", handle)) return -1; \
        return real(handle, command, value); \
    }
FCNTL(fcntl)
FCNTL(fcntl64)

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(int, "clock_gettime");
    int done = real(clock, now);
    if ((kinds & CLOCK) && clock == CLOCK_REALTIME && atomic_fetch_add(&ticks, 1) + 1 >= first) now->tv_sec += jump;
    return done;
}
