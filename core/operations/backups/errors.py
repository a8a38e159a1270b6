"""What taking and restoring a backup may refuse with."""


class BackupError(Exception):
    """A sentence for whoever runs the command: what stands in the way, and what to do."""


class FileDiffers(Exception):
    """A stored file is not of the size and hash that its row says."""
