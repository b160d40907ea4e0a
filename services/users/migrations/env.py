from common.storage.migrations import run

run()
