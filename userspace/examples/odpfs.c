// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odpfs: gives a directory of files to peers, who read and write the server's page cache by RDMA.
 *
 * The server maps a file and registers the mapping on demand (IBV_ACCESS_ON_DEMAND). That pins nothing: a page is brought in when a
 * peer's request reaches it, and goes again when the kernel wants its memory, so files may be larger than memory, and a
 * cgroup bounds what they use. A registration without that bit would keep all of the file in memory, and of a file that is mapped
 * to be written Linux refuses one at all.
 *
 * A client asks for a file by a SEND and gets an address, a size and a key; it reads and writes by itself from then on, DEPTH pieces at
 * a time, and the server's program has no part in it. It registers its own file on demand, too: "get" moves bytes from one page
 * cache to the other. Whatever is wrong with a page ends in an error of the request that wanted it, on the client's side: the file is
 * shorter by now, or the disk full. The server never touches the mapping itself, so it never gets SIGBUS.
 *
 * There is no authentication: whoever reaches the port has the files.
 */
#include "odpfs.h"
#include "server.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
	int fd;
	size_t bytes;
	void *map;
	struct ibv_mr *mr;
};

static int directory;
static bool read_only;

/* Of the directory itself, and no file that begins with a dot; NUL-terminated, and nothing that would spoil a terminal. */
static bool name_is_good(const char *name)
{
	size_t i, n = strnlen(name, NAME_BYTES);

	for (i = 0; i < n; i++)
		if (name[i] == '/' || (unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return false;
	return n && n < NAME_BYTES && name[0] != '.';
}

static void file_close(struct file *file)
{
	if (file->mr)
		ibv_dereg_mr(file->mr);
	if (file->map)
		munmap(file->map, file->bytes);
	if (file->fd >= 0)
		close(file->fd);
	*file = (struct file){ .fd = -1 };
}

/* Maps and registers what is open, with no more rights than are needed. 0 or an errno. */
static int file_register(struct file *file, struct ibv_pd *pd, bool write)
{
	/* Whoever is to write remotely has to be allowed to write locally, says the specification. */
	int access = write ? IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE :
			     IBV_ACCESS_REMOTE_READ;

	/* Of nothing there is no mapping. */
	if (!file->bytes)
		return 0;
	file->map = mmap(NULL, file->bytes, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
			 file->fd, 0);
	if (file->map == MAP_FAILED) {
		file->map = NULL;
		return errno;
	}
	file->mr = ibv_reg_mr(pd, file->map, file->bytes, access | IBV_ACCESS_ON_DEMAND);
	return file->mr ? 0 : errno;
}

static int file_open(struct file *file, struct ibv_pd *pd, const struct request *request)
{
	bool write = request->op == htole32(OPEN_TO_WRITE);
	/* Not through a symbolic link, and without waiting for the other end of a pipe. */
	int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	uint64_t bytes = le64toh(request->bytes);
	struct stat st;

	file_close(file);
	if (!name_is_good(request->name))
		return EINVAL;
	if (write && read_only)
		return EROFS;
	if (write && bytes > INT64_MAX)
		return EFBIG;
	file->fd = openat(directory, request->name, flags | (write ? O_RDWR | O_CREAT : O_RDONLY),
			  0644);
	if (file->fd < 0 || fstat(file->fd, &st))
		return errno;
	if (!S_ISREG(st.st_mode))
		return EINVAL;
	/* Who reads it meanwhile gets an error behind the new end. */
	if (write && ftruncate(file->fd, bytes))
		return errno;
	file->bytes = write ? bytes : (uint64_t)st.st_size;
	return file_register(file, pd, write);
}

/*
 * What the peer has written before it asked is in the page cache: of one connection, requests take effect in the order in which
 * they were posted. A file that is new is synced with its directory.
 */
static int file_sync(const struct file *file)
{
	if (file->fd < 0)
		return EBADF;
	if (file->map && msync(file->map, file->bytes, MS_SYNC))
		return errno;
	return fsync(file->fd) || fsync(directory) ? errno : 0;
}

static int odpfs_welcome(struct client *c, struct rdma_conn_param *answer)
{
	struct file *file = malloc(sizeof(*file));

	(void)answer;
	c->state = file;
	if (!file)
		return -1;
	*file = (struct file){ .fd = -1 };
	return 0;
}

static void odpfs_farewell(struct client *c)
{
	if (c->state)
		file_close(c->state);
	free(c->state);
}

static int odpfs_message(struct client *c, const void *message, size_t bytes)
{
	const struct request *request = message;
	struct file *file = c->state;
	struct reply reply = { 0 };
	int error;

	if (bytes != sizeof(*request) || request->magic != htole32(MAGIC))
		return complain("a peer that does not speak odpfs is sent away");
	switch (le32toh(request->op)) {
	case OPEN_TO_READ:
	case OPEN_TO_WRITE:
		error = file_open(file, c->peer.pd, request);
		if (error)
			file_close(file);
		break;
	case SYNC:
		error = file_sync(file);
		break;
	default:
		error = EOPNOTSUPP;
	}
	reply.error = htole32(error);
	if (file->mr) {
		reply.rkey = htole32(file->mr->rkey);
		reply.address = htole64((uintptr_t)file->map);
		reply.bytes = htole64(file->bytes);
	}
	/* Fails when the peer has not taken the SENDS answers before. */
	return rdma_post_send(c->peer.id, NULL, &reply, sizeof(reply), NULL, IBV_SEND_INLINE);
}

static const struct service odpfs = { PORT, sizeof(struct request), odpfs_welcome, odpfs_message,
				      odpfs_farewell };

static int usage(FILE *to)
{
	fputs("usage: odpfs serve [-r] DIRECTORY [ADDRESS]           -r: peers may not write\n"
	      "       odpfs get ADDRESS NAME [FILE]                  fetch NAME into FILE\n"
	      "       odpfs put ADDRESS FILE [NAME]                  store FILE as NAME, on the disk\n"
	      "       odpfs verify ADDRESS NAME [FILE]               compare NAME with FILE\n"
	      "       odpfs randread ADDRESS NAME [COUNT [FILE]]     read at random, and compare\n",
	      to);
	return to == stdout ? EXIT_SUCCESS : 2;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int rc;

	if (!strcmp(what, "--help") || !strcmp(what, "-h"))
		return usage(stdout);
	if (!strcmp(what, "get") || !strcmp(what, "put") || !strcmp(what, "verify") ||
	    !strcmp(what, "randread"))
		return argc < 4 || argc > 6 ? usage(stderr) : client(argc - 1, argv + 1);
	if (strcmp(what, "serve"))
		return usage(stderr);
	read_only = argc > 2 && !strcmp(argv[2], "-r");
	argv += read_only;
	argc -= read_only;
	if (argc < 3 || argc > 4)
		return usage(stderr);
	directory = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0) {
		complain("%s: %s", argv[2], strerror(errno));
		return EXIT_FAILURE;
	}
	rc = serve(&odpfs, argv[3]);
	close(directory);
	return rc;
}
