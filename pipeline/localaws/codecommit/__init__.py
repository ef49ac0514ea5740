"""CodeCommit: bare git repositories, served over HTTP by git itself."""
