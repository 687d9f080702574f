"""A provider of `aws:*` resources that makes nothing: for the real engine where no AWS can be."""
