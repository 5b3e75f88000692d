"""hanging_disk.py FOLDER BACKING HOLD: a file system with one file, "image", whose writes do not return
while HOLD is there. Reads are the backing file's."""

import errno
import os
import stat
import sys
import time

import fusepy as fuse


class HangingDisk(fuse.Operations):
    def __init__(self, backing, hold):
        self.fd = os.open(backing, os.O_RDWR)
        self.hold = hold

    def getattr(self, path, fh=None):
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path != "/image":
            raise fuse.FuseOSError(errno.ENOENT)
        return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": os.fstat(self.fd).st_size}

    def readdir(self, path, fh):
        return [".", "..", "image"]

    def chown(self, path, uid, gid):
        pass

    def read(self, path, size, offset, fh):
        return os.pread(self.fd, size, offset)

    def write(self, path, data, offset, fh):
        while os.path.exists(self.hold):
            time.sleep(0.02)
        return os.pwrite(self.fd, data, offset)


if __name__ == "__main__":
    folder, backing, hold = sys.argv[1:]
    fuse.FUSE(HangingDisk(backing, hold), folder, foreground=True, allow_other=True)
