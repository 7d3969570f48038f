"""WebDAV (`webdav://`, `webdavs://`): the backend, and what only it needs."""
