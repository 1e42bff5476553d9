/*
 * forward.h - names of an asocket that are neither fields nor methods: they are
 * looked up in its object.
 */

#ifndef SL_FORWARD_H
#define SL_FORWARD_H

#include "socket/class.h"

extern const sl_class_names sl_forward_names;

#endif
