/// The version of cdcd, as `--version` and the metric `cdcd_build_info` tell it.
package enum Version {
  package static let current = "0.1.0"
}
