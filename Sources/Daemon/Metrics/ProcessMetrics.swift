extension Metric {
  /// The standard metrics of a process, under the names that Prometheus's client libraries share.
  ///
  /// Source: Prometheus documentation, "Writing client libraries", section "Process metrics".
  static let process: [Metric] = [
    .gauge("process_resident_memory_bytes", "Resident memory size in bytes.") {
      $0.process.map { .integer($0.residentBytes) }
    },
    .gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.") {
      $0.process.map { .integer($0.virtualBytes) }
    },
    .counters("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.") {
      $0.process.map { [MetricSample(value: .real($0.cpuSeconds))] } ?? []
    },
    .gauge("process_open_fds", "Number of open file descriptors.") {
      $0.process.map { .integer($0.openFiles) }
    },
    .gauge("process_max_fds", "Maximum number of open file descriptors.") {
      $0.process.map { .integer($0.maximumFiles) }
    },
    .gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.") {
      $0.process.map { .real($0.startTime) }
    },
  ]
}
