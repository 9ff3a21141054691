/// What a rule made of a change.
package enum RuleOutcome: Sendable, Equatable {
  /// The rule's keys, none or more, stand at the end of the buffer.
  case rendered
  /// `on:` does not name the operation.
  case otherOperation
  /// None of `when_changed` changed.
  case unchanged
  /// `where` holds for neither image.
  case conditionNotMet
  /// A column that a key needs was not in the message: only a flush of the rule's patterns is safe.
  case incomplete
}

/// Whether one key could be made of one image.
private enum KeyOutcome {
  case written, noKey, unavailable
}

extension BoundRule {
  /// Appends the keys that the change stands for, of the old and of the new image, equal ones once.
  ///
  /// With `mistrustingNulls` a NULL in the old image may stand for a column that a partition's replica identity lacks.
  @inline(__always)
  func render(
    _ operation: Operations, _ images: borrowing RowImages, of message: Span<UInt8>,
    mistrustingNulls: Bool = false, into keys: inout KeyBuffer
  ) -> RuleOutcome {
    guard operations.contains(operation) else { return .otherOperation }
    guard isBound, operation == .insert || coversOldRows else { return .incomplete }
    // The message describes the root; the rows are as the partition's own replica identity has them.
    if carriesWholeRows, operation != .insert, images.oldIsKeyOnly || !images.old.isPresent {
      return .incomplete
    }
    if mistrustingNulls, operation != .insert, columns.contains(where: { isNull($0, in: images.old) }) {
      return .incomplete
    }
    if operation == .update, !whenChanged.isEmpty, !hasChanged(images, message) { return .unchanged }
    if !conditions.isEmpty, !isMet(images, message) { return .conditionNotMet }
    for template in templates {
      let first = keys.count
      if images.new.isPresent, write(template, images, .new, message, &keys) == .unavailable {
        return .incomplete
      }
      if images.old.isPresent {
        if write(template, images, .old, message, &keys) == .unavailable { return .incomplete }
        if keys.count == first + 2 { keys.dropLastIfRepeated() }
      }
    }
    return .rendered
  }

  @inline(__always)
  private func write(
    _ template: [Segment], _ images: borrowing RowImages, _ side: RowImages.Side, _ message: Span<UInt8>,
    _ keys: inout KeyBuffer
  ) -> KeyOutcome {
    for segment in template {
      let column: Int
      switch segment {
      case .literal(let range):
        keys.write(literals, range)
        continue
      case .column(let index), .mapped(let index, _): column = index
      }
      guard let slice = images.column(column, of: side) else { return give(up: .unavailable, &keys) }
      if slice.isNull { return give(up: .noKey, &keys) }
      if case .mapped(_, let place) = segment {
        keys.write(functions[place].reduce(bytes(slice, message)) { $1.apply($0) })
      } else {
        keys.write(message.extracting(slice.range))
      }
    }
    guard keys.openByteCount <= BoundRule.keyByteLimit else { return give(up: .unavailable, &keys) }
    // Nobody caches there, and a row could have cdcd delete the watermark that the same batch moves.
    guard !WatermarkKeys.isOwn(keys.openBytes) else { return give(up: .noKey, &keys) }
    keys.close(rule: UInt32(index))
    return .written
  }

  /// A longer key is no key: Redis refuses commands beyond `proto-max-bulk-len`, and memory is bounded.
  static let keyByteLimit = 1 << 20

  private func give(up outcome: KeyOutcome, _ keys: inout KeyBuffer) -> KeyOutcome {
    keys.abandon()
    return outcome
  }

  private func bytes(_ slice: ColumnSlice, _ message: Span<UInt8>) -> [UInt8] {
    [UInt8](message.extracting(slice.range))
  }

  private func isNull(_ column: Int, in image: RowImage) -> Bool { image.column(column)?.isNull ?? true }

  // MARK: when_changed and where

  private func hasChanged(_ images: borrowing RowImages, _ message: Span<UInt8>) -> Bool {
    if images.isUnpaired { return true }
    // Without an old image no column of the replica identity changed, and the rule reads no other.
    guard images.old.isPresent else { return false }
    return whenChanged.contains { index in
      guard let old = images.old.column(index), let new = images.new.column(index) else { return true }
      if new.isUnchanged { return false }
      if new.isUnknown { return true }
      return !equal(old, new, message)
    }
  }

  private func equal(_ left: ColumnSlice, _ right: ColumnSlice, _ message: Span<UInt8>) -> Bool {
    guard left.length == right.length else { return false }
    guard left.length > 0 else { return true }
    return message.extracting(left.range).isEqual(to: message.extracting(right.range))
  }

  private func isMet(_ images: borrowing RowImages, _ message: Span<UInt8>) -> Bool {
    images.isUnpaired
      || (images.new.isPresent && isMet(images, .new, message))
      || (images.old.isPresent && isMet(images, .old, message))
  }

  /// A column that the image does not carry counts as a match: deleting more is safe, less is not.
  private func isMet(_ images: borrowing RowImages, _ side: RowImages.Side, _ message: Span<UInt8>) -> Bool {
    for condition in conditions {
      guard let slice = images.column(condition.column, of: side) else { continue }
      guard !slice.isNull else {
        if condition.allowsNull { continue }
        return false
      }
      let text = message.extracting(slice.range)
      guard condition.texts.contains(where: { text.isEqual(to: $0.span) }) else { return false }
    }
    return true
  }
}
