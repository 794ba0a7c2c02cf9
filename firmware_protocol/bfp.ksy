# Made by: python -m firmware_protocol.ksy_text
meta:
  id: bfp
  title: BFP, the BCI frame protocol, version 1
  license: MIT
  ks-version: 0.9
  endian: le
doc: |
  One packet without COBS and delimiter, its CRC included. SPEC.md says what the fields mean; doc-ref names its
  sections. The CRC-32C is not checked here: whoever removes COBS checks it before.
seq:
  - {id: head, type: u1, doc: version << 4 | type}
  - {id: flags, type: u1, doc-ref: SPEC 3.3}
  - {id: link_seq, type: u2, doc-ref: SPEC 3.1}
  - id: body
    size: _io.size - 8
    type:
      switch-on: packet_type
      cases:
        type::data: data
        type::event: event
        type::info: info
        type::response: response
        type::heartbeat: heartbeat
        type::log: log
        type::command: command
        type::host: host
  - {id: crc, type: u4, doc-ref: SPEC 3.2}
instances:
  version: {value: head >> 4}
  packet_type: {value: head & 15, enum: type}
types:
  data:
    doc: samples
    doc-ref: SPEC 4.1
    seq:
      - {id: sample_index, type: u4, doc: "low 32 bits of the first sample's conversion number"}
      - {id: t_us, type: u4, doc: "µs: low 32 bits of the device's time at that sample's data-ready"}
      - {id: n_channels, type: u1, doc: "1–64"}
      - {id: n_samples, type: u1, doc: "1–32, all of one config_id"}
      - {id: format, type: u1, doc: "b0–1 samples: 0 int24, 1 float32; b2 status words; b4–5 channels per converter: 0 8, 1 6, 2 4"}
      - {id: config_id, type: u1, doc: "the INFO that says what the samples mean"}
      - {id: conversions, type: conversion, repeat: expr, repeat-expr: n_samples}
    instances:
      sample_type: {value: format & 3}
      has_status: {value: (format & 4) != 0}
      per_converter: {value: 8 - 2 * (format >> 4 & 3)}
      n_groups: {value: "has_status ? n_channels / per_converter : 1"}
      group_size: {value: "has_status ? per_converter : n_channels"}
  event:
    doc: something that happened at a conversion
    doc-ref: SPEC 4.2
    seq:
      - {id: sample_index, type: u4, doc: "low 32 bits of the conversion during which it happened"}
      - {id: t_us, type: u4, doc: "µs: low 32 bits of the device's time"}
      - {id: source, type: u1, enum: source, doc: "1 trigger line, 2 button, 3 device"}
      - {id: reserved, size: 1}
      - {id: code, type: u2, doc: "which event of that source"}
      - {id: value, type: s4, doc: "whatever goes with the code"}
  info:
    doc: what the device is and what its samples mean
    doc-ref: SPEC 4.3
    seq:
      - {id: page, type: u1, doc: "0 … pages − 1"}
      - {id: pages, type: u1, doc: "1–64"}
      - {id: first_channel, type: u1, doc: "channel number, from 0, of the page's first channel"}
      - {id: page_channels, type: u1, doc: "1–16 channels on this page"}
      - {id: boot_id, type: u4, doc: "random, new at every boot"}
      - {id: config_id, type: u1, doc: "what this INFO describes"}
      - {id: state, type: u1, enum: state, doc: "0 idle, 1 streaming, 2 stopped by the watchdog"}
      - {id: n_channels, type: u1, doc: "1–64"}
      - {id: format, type: u1, doc: "as byte 14 of DATA"}
      - {id: rate_num, type: u4, doc: "Hz: nominal sampling rate, numerator"}
      - {id: rate_den, type: u4, doc: "and denominator"}
      - {id: n_samples, type: u1, doc: "1–32, conversions in a full DATA packet"}
      - {id: lead_off, type: u1, enum: lead_off, doc: "0 off, 1 DC, 2 AC 31.25 Hz, 3 AC rate/4"}
      - {id: reserved, size: 2}
      - {id: device_id, size: 24, type: strz, encoding: UTF-8, doc: "UTF-8, filled up with 0"}
      - {id: firmware, size: 16, type: strz, encoding: UTF-8, doc: "version, UTF-8, filled up with 0"}
      - {id: channels, type: channel, repeat: expr, repeat-expr: page_channels}
  response:
    doc: answer to a COMMAND
    doc-ref: SPEC 4.4
    seq:
      - {id: request_id, type: u2, doc: "of the COMMAND it answers"}
      - {id: opcode, type: u1, enum: opcode, doc: "of that COMMAND"}
      - {id: status, type: u1, enum: status, doc: "section 5.4"}
      - {id: t_us, type: u8, doc: "µs: the device's time when the COMMAND's last byte came"}
      - {id: length, type: u1, doc: "bytes: 0–40"}
      - {id: reserved, size: 3}
      - id: payload
        size: length
        if: length > 0 and status == status::ok
        type:
          switch-on: opcode
          cases:
            opcode::identify: identify_results
            opcode::start: start_results
            opcode::stop: stop_results
            opcode::set_rate: set_rate_results
            opcode::set_channel: set_channel_results
            opcode::read_register: read_register_results
            opcode::write_register: write_register_results
            opcode::reset_counters: reset_counters_results
  heartbeat:
    doc: the device's counters, once a second
    doc-ref: SPEC 4.5
    seq:
      - {id: boot_id, type: u4, doc: "random, new at every boot"}
      - {id: t_us, type: u8, doc: "µs: the device's time now"}
      - {id: sample_index, type: u8, doc: "every conversion below it was sent before this packet or is in `dropped`"}
      - {id: dropped, type: u8, doc: "of those, conversions the device could not send"}
      - {id: rx_errors, type: u4, doc: "faults in what the device received"}
      - {id: supply_mv, type: u2, doc: "mV: 0: not measured"}
      - {id: temperature, type: s2, doc: "0.1 °C: −32768: not measured"}
  log:
    doc: text for people
    doc-ref: SPEC 4.6
    seq:
      - {id: t_us, type: u4, doc: "µs: low 32 bits of the device's time"}
      - {id: level, type: u1, enum: level, doc: "0 debug, 1 info, 2 warning, 3 error"}
      - {id: reserved, size: 1}
      - {id: length, type: u2, doc: "bytes: 0–639"}
      - {id: text, size: length, type: str, encoding: UTF-8}
  command:
    doc: request of the host
    doc-ref: SPEC 5.1
    seq:
      - {id: request_id, type: u2, doc: "random at first, then +1 per new request"}
      - {id: opcode, type: u1, enum: opcode, doc: "section 5.3"}
      - {id: length, type: u1, doc: "bytes: 0–116"}
      - id: payload
        size: length
        if: length > 0
        type:
          switch-on: opcode
          cases:
            opcode::start: start_arguments
            opcode::set_rate: set_rate_arguments
            opcode::set_channel: set_channel_arguments
            opcode::lead_off: lead_off_arguments
            opcode::test_signal: test_signal_arguments
            opcode::test_pattern: test_pattern_arguments
            opcode::read_register: read_register_arguments
            opcode::write_register: write_register_arguments
  host:
    doc: note of a recording program; never on a wire
    doc-ref: SPEC 9.1
    seq:
      - {id: nonce, type: u8, doc: "random, the same in all HOST packets of one recording"}
      - {id: kind, type: u1, enum: host_kind, doc: "1 START, 2 ARRIVAL, 3 TX, 4 MARKER, 5 GAP, 6 RAW"}
      - {id: reserved, size: 1}
      - {id: length, type: u2, doc: "bytes: 0–635"}
      - id: payload
        size: length
        type:
          switch-on: kind
          cases:
            host_kind::start: host_start
            host_kind::arrival: host_arrival
            host_kind::tx: host_tx
            host_kind::marker: host_marker
            host_kind::gap: host_gap
            host_kind::raw: host_raw
  conversion:
    doc: One sample of each channel, and with status words one in front of each converter's share.
    seq:
      - {id: groups, type: group, repeat: expr, repeat-expr: _parent.n_groups}
  group:
    seq:
      - {id: status, type: status_word, if: _parent._parent.has_status}
      - id: samples
        type:
          switch-on: _parent._parent.sample_type
          cases:
            0: int24
            1: f4
        repeat: expr
        repeat-expr: _parent._parent.group_size
  int24:
    meta: {endian: be}
    seq:
      - {id: high, type: s1}
      - {id: low, type: u2}
    instances:
      value: {value: high * 65536 + low}
  status_word:
    meta: {bit-endian: be}
    doc-ref: SPEC 4.1
    seq:
      - {id: mark, type: b4, doc: "1100"}
      - {id: lead_off_p, type: b8}
      - {id: lead_off_n, type: b8}
      - {id: gpio, type: b4}
  channel:
    seq:
      - {id: label, size: 16, type: strz, encoding: UTF-8}
      - {id: uv_per_count, type: f8}
  identify_results:
    doc-ref: SPEC 5.3
    seq:
      - {id: boot_id, type: u4}
      - {id: state, type: u1, enum: state}
      - {id: config_id, type: u1}
      - {id: n_channels, type: u1}
      - {id: pages, type: u1, doc: "INFO packets that follow"}
  start_arguments:
    doc-ref: SPEC 5.3
    seq:
      - {id: watchdog_ms, type: u4, doc: "ms: 0 off, else 100–3,600,000; left out: 5000"}
  start_results:
    doc-ref: SPEC 5.3
    seq:
      - {id: sample_index, type: u8, doc: "conversion number of the first sample"}
  stop_results:
    doc-ref: SPEC 5.3
    seq:
      - {id: boot_id, type: u4, doc: "random, new at every boot"}
      - {id: t_us, type: u8, doc: "µs: the device's time now"}
      - {id: sample_index, type: u8, doc: "every conversion below it was sent before this packet or is in `dropped`"}
      - {id: dropped, type: u8, doc: "of those, conversions the device could not send"}
      - {id: rx_errors, type: u4, doc: "faults in what the device received"}
      - {id: supply_mv, type: u2, doc: "mV: 0: not measured"}
      - {id: temperature, type: s2, doc: "0.1 °C: −32768: not measured"}
  set_rate_arguments:
    doc-ref: SPEC 5.3
    seq:
      - {id: rate_num, type: u4, doc: "Hz: numerator"}
      - {id: rate_den, type: u4, doc: "denominator"}
  set_rate_results:
    doc-ref: SPEC 5.3
    seq:
      - {id: config_id, type: u1, doc: "of the samples from now on"}
  set_channel_arguments:
    doc-ref: SPEC 5.3
    seq:
      - {id: channel, type: u1, doc: "from 0; 255: all"}
      - {id: gain, type: u1, doc: "1, 2, 4, 6, 8, 12 or 24"}
      - {id: mux, type: u1, doc: "0–7, as the converter's MUX bits: 0 electrode, 1 shorted, 5 test signal"}
      - {id: power, type: u1, doc: "1 on, 0 off"}
  set_channel_results:
    doc-ref: SPEC 5.3
    seq:
      - {id: config_id, type: u1, doc: "of the samples from now on"}
  lead_off_arguments:
    doc-ref: SPEC 5.3
    seq:
      - {id: mode, type: u1, doc: "0 off, 1 DC, 2 AC 31.25 Hz, 3 AC rate/4"}
  test_signal_arguments:
    doc-ref: SPEC 5.3
    seq:
      - {id: mode, type: u1, doc: "0 off, 1 slow square wave, 2 fast square wave, 3 DC"}
      - {id: amplitude, type: u1, doc: "1 or 2: times VREF/2400"}
  test_pattern_arguments:
    doc-ref: SPEC 5.3
    seq:
      - {id: pattern, type: u1, enum: pattern, doc: "0 off, 1 ramp, 2 pseudo-random, section 6.6"}
  read_register_arguments:
    doc-ref: SPEC 5.3
    seq:
      - {id: converter, type: u1, doc: "from 0"}
      - {id: address, type: u1, doc: "of the first register"}
      - {id: count, type: u1, doc: "1–40"}
  read_register_results:
    doc-ref: SPEC 5.3
    seq:
      - {id: more, size-eos: true}
  write_register_arguments:
    doc-ref: SPEC 5.3
    seq:
      - {id: converter, type: u1, doc: "from 0"}
      - {id: address, type: u1, doc: "of the first register"}
      - {id: more, size-eos: true}
  write_register_results:
    doc-ref: SPEC 5.3
    seq:
      - {id: config_id, type: u1, doc: "of the samples from now on"}
  reset_counters_results:
    doc-ref: SPEC 5.3
    seq:
      - {id: boot_id, type: u4, doc: "random, new at every boot"}
      - {id: t_us, type: u8, doc: "µs: the device's time now"}
      - {id: sample_index, type: u8, doc: "every conversion below it was sent before this packet or is in `dropped`"}
      - {id: dropped, type: u8, doc: "of those, conversions the device could not send"}
      - {id: rx_errors, type: u4, doc: "faults in what the device received"}
      - {id: supply_mv, type: u2, doc: "mV: 0: not measured"}
      - {id: temperature, type: s2, doc: "0.1 °C: −32768: not measured"}
  host_start:
    doc-ref: SPEC 9.2
    seq:
      - {id: part, type: u1, doc: "0 … parts − 1"}
      - {id: parts, type: u1, doc: "1–255"}
      - {id: more, size-eos: true}
  arrival:
    doc-ref: SPEC 9.3
    seq:
      - {id: offset, type: u8, doc: "bytes: wire bytes before a block that was read"}
      - {id: t_ns, type: u8, doc: "ns: when it was read"}
  host_arrival:
    seq:
      - {id: arrivals, type: arrival, repeat: eos}
  host_tx:
    doc-ref: SPEC 9.4
    seq:
      - {id: t_ns, type: u8, doc: "ns: when they were sent"}
      - {id: more, size-eos: true}
  host_marker:
    doc-ref: SPEC 9.5
    seq:
      - {id: sample_index, type: s8, doc: "64-bit conversion number; −1: not known"}
      - {id: t_ns, type: u8, doc: "ns: when it was set"}
      - {id: code, type: u2, doc: "which marker"}
      - {id: reserved, size: 2}
      - {id: value, type: s4, doc: "whatever goes with the code"}
      - {id: more, size-eos: true}
  host_gap:
    doc-ref: SPEC 9.6
    seq:
      - {id: t_ns, type: u8, doc: "ns: when it was noticed"}
      - {id: more, size-eos: true}
  host_raw:
    doc-ref: SPEC 9.7
    seq:
      - {id: dialect, type: u1, enum: dialect, doc: "0 BFP, 1 Cyton"}
      - {id: more, size-eos: true}
enums:
  type:
    1: data
    2: event
    3: info
    4: response
    5: heartbeat
    6: log
    8: command
    15: host
  host_kind:
    1: start
    2: arrival
    3: tx
    4: marker
    5: gap
    6: raw
  opcode:
    1: identify
    2: start
    3: stop
    4: keepalive
    5: set_rate
    6: set_channel
    7: lead_off
    8: test_signal
    9: test_pattern
    10: read_register
    11: write_register
    12: reset_counters
  status:
    0: ok
    1: unknown_opcode
    2: bad_length
    3: bad_argument
    4: busy
    5: id_reused
    6: unsupported
    7: failed
  state:
    0: idle
    1: streaming
    2: watchdog
  source:
    1: trigger
    2: button
    3: device
  level:
    0: debug
    1: info
    2: warning
    3: error
  lead_off:
    0: off
    1: dc
    2: ac_31_25_hz
    3: ac_quarter_rate
  pattern:
    0: off
    1: ramp
    2: prbs
  dialect:
    0: bfp
    1: cyton
