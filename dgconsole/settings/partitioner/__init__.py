"""The partitioner's configuration: both forms of ``.cfg``, its options, how they merge, what they may say."""
