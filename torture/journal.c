/*
 * Journals what a program writes below a folder, so that a power cut can be replayed at any moment
 * of it; or kills the program just before, or in the middle of, its nth change of that folder.
 *
 * Preloaded (LD_PRELOAD) into Meterbook and PostgreSQL alike. A record is written after the change
 * was made, and a sync is recorded when it begins and when it has ended: what the journal takes for
 * durable was so on the disk. The surprising fact: mapped files are not seen, so SQLite's -shm,
 * which need not outlive anything, is not either.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define HANDLES_MAX 65536
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

struct record {
    uint32_t length; /* of the whole record */
    char kind;
    uint64_t file;
    int64_t offset;
} __attribute__((packed));

static unsigned char place_of[HANDLES_MAX]; /* 0 unknown, 1 below the folder, 2 elsewhere */
static int journal = -1;
static long changes_left = -1;
static int is_torn;

static char top[PATH_MAX], journal_path[PATH_MAX];

/* Copied at once: PostgreSQL writes its process titles over its environment. */
__attribute__((constructor)) static void begin(void) {
    snprintf(top, sizeof top, "%s", getenv("TORTURE_FOLDER") ? getenv("TORTURE_FOLDER") : "");
    snprintf(journal_path, sizeof journal_path, "%s",
             getenv("TORTURE_JOURNAL") ? getenv("TORTURE_JOURNAL") : "");
}

static int starts(const char *path) {
    size_t size = strlen(top);
    return size && strncmp(path, top, size) == 0 && (path[size] == '/' || path[size] == 0);
}

static int path_of(int handle, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0) return -1;
    path[size] = 0;
    return 0;
}

static int inside(int handle) {
    if (handle < 0 || handle >= HANDLES_MAX || !top[0]) return 0;
    if (!place_of[handle]) {
        char path[PATH_MAX];
        place_of[handle] = path_of(handle, path) == 0 && starts(path) ? 1 : 2;
    }
    return place_of[handle] == 1;
}

static uint64_t file_of(int handle) {
    struct stat found;
    return syscall(SYS_fstat, handle, &found) == 0 ? found.st_ino : 0;
}

static void put(char kind, uint64_t file, int64_t offset, const void *body, size_t size) {
    if (!journal_path[0]) return;
    int kept = errno;
    if (journal < 0) {
        int low = syscall(SYS_openat, AT_FDCWD, journal_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
        journal = fcntl(low, F_DUPFD_CLOEXEC, 3000);
        if (journal < 0) journal = fcntl(low, F_DUPFD_CLOEXEC, 200);
        syscall(SYS_close, low);
    }
    struct record head = {sizeof head + size, kind, file, offset};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)body, size}};
    syscall(SYS_writev, journal, parts, 2);
    errno = kept;
}

/* Dies here if this is the change to die at; says how much of a write to do first. */
static size_t due(size_t size) {
    if (changes_left < 0 || __sync_sub_and_fetch(&changes_left, 1) != 0) return SIZE_MAX;
    if (is_torn && size > 512) return size / 512 / 2 * 512;
    syscall(SYS_kill, getpid(), SIGKILL);
    return 0;
}

void torture_arm(long changes, int torn) {
    is_torn = torn;
    changes_left = changes;
}

static void opened(int handle, int flags) {
    if (handle < 0 || handle >= HANDLES_MAX) return;
    place_of[handle] = 0;
    char path[PATH_MAX];
    if (!inside(handle) || !(flags & (O_CREAT | O_TRUNC))) return;
    if (path_of(handle, path) == 0 && flags & O_CREAT)
        put('C', file_of(handle), 0, path, strlen(path));
    if (flags & O_TRUNC) put('T', file_of(handle), 0, NULL, 0);
}

static int opening(int at, const char *path, int flags, mode_t mode) {
    if (flags & (O_CREAT | O_TRUNC) && starts(path)) due(0);
    int handle = syscall(SYS_openat, at, path, flags | O_LARGEFILE, mode);
    if (top[0]) opened(handle, flags);
    return handle;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }

int open(const char *path, int flags, ...) { MODE(flags) return opening(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opening(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return opening(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return opening(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return opening(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int handle) {
    if (handle >= 0 && handle < HANDLES_MAX) place_of[handle] = 0;
    return syscall(SYS_close, handle);
}

static ssize_t wrote(int handle, const void *body, ssize_t done, int64_t offset) {
    if (done > 0) put('W', file_of(handle), offset, body, done);
    return done;
}

static void die_torn(size_t some, size_t size) {
    if (some < size) syscall(SYS_kill, getpid(), SIGKILL);
}

ssize_t write(int handle, const void *body, size_t size) {
    if (!inside(handle)) return syscall(SYS_write, handle, body, size);
    size_t some = due(size);
    ssize_t done = syscall(SYS_write, handle, body, some < size ? some : size);
    die_torn(some, size);
    return wrote(handle, body, done, syscall(SYS_lseek, handle, 0, SEEK_CUR) - done);
}

static ssize_t writing_at(int handle, const void *body, size_t size, off_t offset) {
    if (!inside(handle)) return syscall(SYS_pwrite64, handle, body, size, offset);
    size_t some = due(size);
    ssize_t done = syscall(SYS_pwrite64, handle, body, some < size ? some : size, offset);
    die_torn(some, size);
    return wrote(handle, body, done, offset);
}

ssize_t pwrite(int handle, const void *body, size_t size, off_t offset) { return writing_at(handle, body, size, offset); }
ssize_t pwrite64(int handle, const void *body, size_t size, off_t offset) { return writing_at(handle, body, size, offset); }

ssize_t pwritev(int handle, const struct iovec *parts, int count, off_t offset) {
    ssize_t all = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = writing_at(handle, parts[i].iov_base, parts[i].iov_len, offset + all);
        if (done < 0) return all ? all : done;
        all += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return all;
}
ssize_t pwritev64(int handle, const struct iovec *parts, int count, off_t offset) { return pwritev(handle, parts, count, offset); }

ssize_t writev(int handle, const struct iovec *parts, int count) {
    if (!inside(handle)) return syscall(SYS_writev, handle, parts, count);
    ssize_t all = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = write(handle, parts[i].iov_base, parts[i].iov_len);
        if (done < 0) return all ? all : done;
        all += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return all;
}

/* Callers fall back to write(). */
ssize_t sendfile(int out, int in, off_t *offset, size_t size) {
    if (inside(out)) { errno = EINVAL; return -1; }
    return syscall(SYS_sendfile, out, in, offset, size);
}
ssize_t sendfile64(int out, int in, off_t *offset, size_t size) { return sendfile(out, in, offset, size); }

static int cutting(int handle, off_t size) {
    if (inside(handle)) due(0);
    int done = syscall(SYS_ftruncate, handle, size);
    if (done == 0 && inside(handle)) put('T', file_of(handle), size, NULL, 0);
    return done;
}
int ftruncate(int handle, off_t size) { return cutting(handle, size); }
int ftruncate64(int handle, off_t size) { return cutting(handle, size); }

int truncate(const char *path, off_t size) {
    int handle = open(path, O_WRONLY);
    if (handle < 0) return handle;
    int done = cutting(handle, size);
    close(handle);
    return done;
}
int truncate64(const char *path, off_t size) { return truncate(path, size); }

static int reserving(int handle, off_t offset, off_t size) {
    if (syscall(SYS_fallocate, handle, 0, offset, size) != 0) return errno;
    if (inside(handle)) put('L', file_of(handle), offset + size, NULL, 0);
    return 0;
}
int posix_fallocate(int handle, off_t offset, off_t size) { return reserving(handle, offset, size); }
int posix_fallocate64(int handle, off_t offset, off_t size) { return reserving(handle, offset, size); }

static void renamed(const char *old, const char *new) {
    char both[2 * PATH_MAX];
    size_t size = snprintf(both, sizeof both, "%s%c%s", old, 0, new);
    if (starts(new)) put('R', 0, 0, both, size);
}
int rename(const char *old, const char *new) {
    if (starts(new)) due(0);
    int done = syscall(SYS_rename, old, new);
    if (done == 0) renamed(old, new);
    return done;
}
int link(const char *old, const char *new) {
    int done = syscall(SYS_link, old, new);
    struct stat found;
    if (done == 0 && starts(new) && stat(new, &found) == 0) put('C', found.st_ino, 0, new, strlen(new));
    return done;
}

static int removing(const char *path, int flags) {
    if (starts(path)) due(0);
    int done = syscall(SYS_unlinkat, AT_FDCWD, path, flags);
    if (done == 0 && starts(path)) put('U', 0, 0, path, strlen(path));
    return done;
}
int unlink(const char *path) { return removing(path, 0); }
int rmdir(const char *path) { return removing(path, AT_REMOVEDIR); }

int mkdir(const char *path, mode_t mode) {
    int done = syscall(SYS_mkdir, path, mode);
    if (done == 0 && starts(path)) put('M', 0, 0, path, strlen(path));
    return done;
}

static int syncing(int handle, long number) {
    if (!inside(handle)) return syscall(number, handle);
    due(0);
    struct stat found;
    char path[PATH_MAX] = "";
    if (fstat(handle, &found) == 0 && S_ISDIR(found.st_mode)) path_of(handle, path);
    pid_t who = syscall(SYS_gettid);
    put('f', found.st_ino, who, path, strlen(path));
    int done = syscall(number, handle);
    if (done == 0) put('F', found.st_ino, who, path, strlen(path));
    return done;
}
int fsync(int handle) { return syncing(handle, SYS_fsync); }
int fdatasync(int handle) { return syncing(handle, SYS_fdatasync); }
