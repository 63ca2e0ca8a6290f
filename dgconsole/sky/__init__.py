"""The tiling of the sky: positions to chunk and sub-chunk ids, exact boxes, overlap geometry."""
