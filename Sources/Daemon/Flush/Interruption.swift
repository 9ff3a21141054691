import Glibc
import Synchronization
import UnixSignals

/// SIGINT or SIGTERM, for a one-shot command that tells how far it has come before it ends. A second one ends it at once.
package final class Interruption: Sendable {
  private let number = Atomic<Int32>(0)

  /// From here on the first signal ends nothing by itself.
  package init() async {
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
    Task { [self] in
      for await signal in signals {
        guard number.load(ordering: .acquiring) == 0 else { exit(128 + signal.rawValue) }
        number.store(signal.rawValue, ordering: .releasing)
      }
    }
  }

  /// The status to exit with, as a shell counts it; nil while there was no signal.
  package var exitStatus: Int32? {
    let number = number.load(ordering: .acquiring)
    return number == 0 ? nil : 128 + number
  }
}
